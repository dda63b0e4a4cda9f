/**
 * What Datadog makes of the texts it groups by, done here as its Agent does it before sending, so that traces and stats
 * say the same. The usual text needs nothing; it is told by its bytes.
 */

/** Longest name and service, in bytes; longest tag value, in characters; longest resource, in bytes. */
export const maxNameLength = 100
const maxTagLength = 200
export const maxResourceLength = 5000

/** Whether the bytes are a tag value that stays as it is: lower case letters, digits and `:./-_` without `_` at its end. */
export function isTagValue(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > maxTagLength) return false
  for (let i = start; i < end; i++) {
    if (isTagCharacter(bytes[i])) continue
    // One underscore is fine where something else follows.
    if (bytes[i] !== 0x5f || ++i === end || !isTagCharacter(bytes[i])) return false
  }
  return true
}

const isTagCharacter = (c: number): boolean => (c >= 0x61 && c <= 0x7a) || (c >= 0x2d && c <= 0x3a) // a to z; - . / 0 to 9 :

/** A tag value as Datadog keeps it: in lower case, anything unusual an underscore, never two of them in a row. */
export function normalTagValue(text: string): string {
  let out = ''
  let count = 0
  let bytes = 0
  for (const character of text) {
    const lower = lowered(character)
    count++
    bytes += Buffer.byteLength(character)
    if (/[\p{L}\p{Nd}:./-]/u.test(lower)) out += lower
    else if (!out.endsWith('_')) out += '_'
    if (count >= maxTagLength || bytes >= 2 * maxTagLength) break
  }
  return out.replace(/_+$/, '')
}

/** In lower case, unless that takes another number of bytes. */
function lowered(character: string): string {
  if (!/\p{Lu}/u.test(character)) return character
  const lower = character.toLowerCase()
  return Buffer.byteLength(lower) === Buffer.byteLength(character) ? lower : character
}

/** The longest beginning of `text` that has at most `max` bytes, cut between characters. */
export function truncated(text: string, max: number): string {
  if (Buffer.byteLength(text) <= max) return text
  let size = 0
  let out = ''
  for (const character of text) {
    size += Buffer.byteLength(character)
    if (size > max) break
    out += character
  }
  return out
}

/** The service of a span that is called `text` by its sender; '' for none. */
export function normalService(text: string): string {
  return normalTagValue(truncated(text === '' ? 'otlpresourcenoservicename' : text, maxNameLength)) || 'unnamed-service'
}

/** Whether the bytes are an operation's name that stays as it is: letters, digits, `.` and `_`, beginning with a letter. */
export function isName(bytes: Uint8Array, start: number, end: number): boolean {
  if (end === start || end - start > maxNameLength || !isLetter(bytes[start]) || bytes[end - 1] === 0x5f) return false
  for (let i = start + 1; i < end; i++) {
    const c = bytes[i]
    if (isLetter(c) || (c >= 0x30 && c <= 0x39)) continue
    if ((c !== 0x2e && c !== 0x5f) || bytes[i - 1] === 0x5f) return false
  }
  return true
}

const isLetter = (c: number): boolean => (c >= 0x61 && c <= 0x7a) || (c >= 0x41 && c <= 0x5a)

/** The name of an operation as Datadog keeps it. */
export function normalName(text: string): string {
  const from = truncated(text, maxNameLength).replace(/^[^A-Za-z]+/, '')
  if (from === '') return 'unnamed_operation'
  const bytes = Buffer.from(from)
  if (isName(bytes, 0, bytes.length - (from.endsWith('_') ? 1 : 0))) return from.replace(/_$/, '')
  let out = ''
  // By byte, as Datadog does: what is outside ASCII becomes one underscore all the same.
  for (const character of from) {
    if (/[A-Za-z0-9]/.test(character)) out += character
    else if (character === '.') out = out.endsWith('_') ? `${out.slice(0, -1)}.` : `${out}.`
    else if (!out.endsWith('.') && !out.endsWith('_')) out += '_'
  }
  return out.replace(/_$/, '')
}
