/** SETTINGS: what the other side asks for, and what we do. */
import { ConnectionError, ErrorCode, maxFrame, mostFrame, mostWindow, Setting } from './protocol.ts'

/** What of the other side's settings is of interest. Undefined: not named. */
export interface PeerSettings {
  readonly headerTable: number | undefined
  readonly window: number | undefined
  readonly frame: number | undefined
  readonly streams: number | undefined
}

/**
 * Reads the payload at `from` to `to`; of a setting that is named several times the last counts.
 * @throws ConnectionError where a value is none that may be
 */
export function readSettings(bytes: Buffer, from: number, to: number): PeerSettings {
  let headerTable: number | undefined
  let window: number | undefined
  let frame: number | undefined
  let streams: number | undefined
  for (let at = from; at < to; at += 6) {
    const value = bytes.readUInt32BE(at + 2)
    switch (bytes.readUInt16BE(at)) {
      case Setting.HEADER_TABLE_SIZE:
        headerTable = headerTable === undefined ? value : Math.min(headerTable, value)
        break
      case Setting.ENABLE_PUSH:
        if (value > 1) throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'ENABLE_PUSH is neither 0 nor 1')
        break
      case Setting.MAX_CONCURRENT_STREAMS:
        streams = value
        break
      case Setting.INITIAL_WINDOW_SIZE:
        if (value > mostWindow) throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, 'a window that is too large')
        window = value
        break
      case Setting.MAX_FRAME_SIZE:
        if (value < maxFrame || value > mostFrame) {
          throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, 'a frame size that may not be')
        }
        frame = value
        break
    }
  }
  return { headerTable, window, frame, streams }
}

/** The payload for `settings`, number and value. */
export function writeSettings(settings: readonly (readonly [number, number])[]): Buffer {
  const payload = Buffer.alloc(6 * settings.length)
  settings.forEach(([number, value], i) => {
    payload.writeUInt16BE(number, 6 * i)
    payload.writeUInt32BE(value, 6 * i + 2)
  })
  return payload
}
