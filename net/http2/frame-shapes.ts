/** What is known of a frame before its payload is read (RFC 9113, 6): whether it is about a stream, and how long it is. */
import { broken, Frame, maxFrame, wrongSize } from './protocol.ts'

interface Shape {
  readonly isOfStream: boolean | undefined
  readonly length: number | undefined
}

const shape = (isOfStream?: boolean, length?: number): Shape => ({ isOfStream, length })
/** By type. */
const shapes: (Shape | undefined)[] = []
shapes[Frame.DATA] = shape(true)
shapes[Frame.HEADERS] = shape(true)
shapes[Frame.PRIORITY] = shape(true)
shapes[Frame.RST_STREAM] = shape(true, 4)
shapes[Frame.SETTINGS] = shape(false)
shapes[Frame.PUSH_PROMISE] = undefined
shapes[Frame.PING] = shape(false, 8)
shapes[Frame.GOAWAY] = shape(false)
shapes[Frame.WINDOW_UPDATE] = shape(undefined, 4)
shapes[Frame.CONTINUATION] = shape(true)

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
