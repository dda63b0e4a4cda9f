/** Which bytes may stand where in a head (RFC 9110, 5.5 and 5.6.2; RFC 3986). */

export const tab = 0x09
export const lineFeed = 0x0a
export const carriageReturn = 0x0d
export const space = 0x20
export const colon = 0x3a

/** 1 for each byte that `isIn` takes. */
function table(isIn: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (isIn(byte) ? 1 : 0))
}

const tokenText = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]$/
const hostText = /^[A-Za-z0-9._~!$&'()*+,;=%:[\]-]$/

/** Names of headers and methods. */
export const tokens = table(byte => tokenText.test(String.fromCharCode(byte)))
/** Values of headers: what can be seen, blanks, and whatever is not ASCII. */
export const texts = table(byte => byte === tab || (byte >= space && byte !== 0x7f))
/** Targets of requests: what can be seen, without what would begin a fragment. */
export const targets = table(byte => byte > space && byte < 0x7f && byte !== 0x23)
/** The name of a host, with its port. */
export const hosts = table(byte => hostText.test(String.fromCharCode(byte)))

/** The value of a hexadecimal digit; -1 for what is none. */
export function digitOf(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
