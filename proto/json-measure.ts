/** How much a value of JSON holds, found before it is read: reading it goes on until it ends. */
import { maxFields } from './item-limits.ts'
import {
  BACKSLASH,
  CLOSE_LIST,
  CLOSE_OBJECT,
  COMMA,
  type JsonScanner,
  OPEN_LIST,
  OPEN_OBJECT,
  QUOTE,
  special,
} from './json-scan.ts'

/** Bytes of text that one item may have in a large request, as well as a resource, a scope, and whatever is not known. */
export const maxText = 4 * 1024 * 1024
/** Bytes that may be moved while the lengths of nested messages are filled in: each level may move what is in it. */
const maxMoved = 64 * 1024 * 1024

/**
 * Looks at the value that comes, up to its end, and moves nothing. What is no JSON is left to whoever reads it.
 * @throws WireError where it is more than is read in one go
 */
export function measure(scan: JsonScanner): void {
  const { text, view, end, at: start } = scan
  const most = Math.min(end, start + maxText)
  let depth = 0
  let deepest = 0
  let fields = 0
  let at = start
  for (; at < most; at++) {
    const byte = text[at]
    if (byte === QUOTE) {
      at = passText(text, view, at + 1, most)
      if (depth === 0) break
    } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
      fields++
      if (++depth > deepest) deepest = depth
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
      if (--depth <= 0) break
    } else if (byte === COMMA) {
      if (depth === 0) break
      fields++
    }
    if (fields > maxFields) throw scan.error(`a value has more than ${maxFields} fields`, start)
  }
  if (at >= most && most < end) throw scan.error(`a value is longer than ${maxText} bytes`, start)
  if (deepest * (at - start) > maxMoved) {
    throw scan.error(`a value of ${at - start} bytes is nested ${deepest} deep`, start)
  }
}

/** Where the closing quote is. */
function passText(text: Buffer, view: DataView, at: number, end: number): number {
  for (;;) {
    while (at <= end - 4 && special(view.getInt32(at, true)) === 0) at += 4
    for (const near = Math.min(end, at + 4); at < near && text[at] !== QUOTE && text[at] !== BACKSLASH;) at++
    if (at >= end || text[at] === QUOTE) return at
    while (at < end && text[at] === BACKSLASH) at += 2
  }
}
