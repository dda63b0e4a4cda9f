/** The numbers of HTTP/2 (RFC 9113), and what is wrong with a connection. */

/** What a connection begins with. */
export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

/** Bytes before the payload of a frame. */
export const frameHead = 9

/** Types of frames. */
export const Frame = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const

/** Flags of frames. */
export const Flag = { END_STREAM: 1, ACK: 1, END_HEADERS: 4, PADDED: 8, PRIORITY: 0x20 } as const

/** Names of settings. */
export const Setting = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const

/** Why a stream or a connection is ended. */
export const ErrorCode = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  ENHANCE_YOUR_CALM: 11,
} as const

/** Largest payload of a frame that has not been agreed upon, and so of all frames that we read. */
export const maxFrame = 16_384
/** Largest payload of a frame that can be agreed upon. */
export const mostFrame = 2 ** 24 - 1
/** Window of a connection, and of a stream, unless told otherwise. */
export const defaultWindow = 65_535
/** Largest window, and largest number of a stream. */
export const mostWindow = 2 ** 31 - 1
/** Bytes of the table of headers unless told otherwise: ours is not larger. */
export const headerTableSize = 4096

/** What the other side sent breaks the protocol so that the connection cannot go on. */
export class ConnectionError extends Error {
  override name = 'ConnectionError'
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

/** A connection error of the commonest kind, and one about the length of a frame. */
export const broken = (what: string): ConnectionError => new ConnectionError(ErrorCode.PROTOCOL_ERROR, what)
export const wrongSize = (what: string): ConnectionError => new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, what)
