/** What is known of a frame before its payload is read (RFC 9113, 6): whether it is about a stream, and how long it is. */
import { broken, Frame, maxFrame, wrongSize } from './protocol.ts'

const shapes: Record<number, { readonly isOfStream?: boolean; readonly length?: number } | undefined> = {
  [Frame.DATA]: { isOfStream: true },
  [Frame.HEADERS]: { isOfStream: true },
  [Frame.PRIORITY]: { isOfStream: true },
  [Frame.RST_STREAM]: { isOfStream: true, length: 4 },
  [Frame.SETTINGS]: { isOfStream: false },
  [Frame.PING]: { isOfStream: false, length: 8 },
  [Frame.GOAWAY]: { isOfStream: false },
  [Frame.WINDOW_UPDATE]: { length: 4 },
  [Frame.CONTINUATION]: { isOfStream: true },
}

/**
 * Whether frames of that type are known; others are passed over.
 * @throws ConnectionError where one is none that may be
 */
export function checkShape(type: number, stream: number, length: number): boolean {
  if (length > maxFrame) throw wrongSize('a frame that is too large')
  const shape = shapes[type]
  if (shape === undefined) return false
  if (shape.isOfStream !== undefined && shape.isOfStream !== stream > 0) throw broken('a frame on the wrong stream')
  if (shape.length !== undefined && shape.length !== length) throw wrongSize('a frame of a wrong size')
  return true
}
