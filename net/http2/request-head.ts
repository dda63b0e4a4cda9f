/** The head of a request: its headers, checked (RFC 9113, 8.2 and 8.3). */

/** Headers of which the first counts, as everywhere on Node; the values of others are joined. */
const single = new Set(['authorization', 'content-length', 'content-type', 'user-agent'])
/** What is about a connection of HTTP/1 has no meaning here, and hides requests from whoever believes in it. */
const forbidden = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'])
const pseudo = new Set([':method', ':scheme', ':path', ':authority'])

const isName = (text: string): boolean => /^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(text)
/** Nothing that ends a line. Space around a value should not be, but hurts nobody, and some clients send it. */
const isValue = (text: string): boolean => !/[\0\r\n]/.test(text)

/** A head, which all requests share that have the same. */
export class RequestHead {
  /** Name, value, name, value, as they came. */
  readonly raw: readonly string[]
  readonly method: string
  readonly path: string
  /** Bytes of the body, where the head says so; -1 where it does not. */
  readonly length: number

  private constructor(raw: readonly string[], length: number) {
    this.raw = raw
    this.length = length
    this.method = this.get(':method') ?? ''
    this.path = this.get(':path') ?? ''
  }

  /** The head that `raw` is; undefined where it is malformed. */
  static of(raw: readonly string[]): RequestHead | undefined {
    const seen = new Set<string>()
    let length = -1
    let isPseudoOver = false
    for (let i = 0; i < raw.length; i += 2) {
      const name = raw[i]
      const value = raw[i + 1]
      if (!isValue(value)) return undefined
      if (name.startsWith(':')) {
        if (isPseudoOver || !pseudo.has(name) || seen.has(name)) return undefined
        seen.add(name)
        continue
      }
      isPseudoOver = true
      if (!isField(name, value)) return undefined
      if (name === 'content-type') {
        // Two servers could read it differently.
        if (seen.has(name)) return undefined
        seen.add(name)
      }
      if (name !== 'content-length') continue
      if (!/^\d{1,15}$/.test(value) || (length >= 0 && Number(value) !== length)) return undefined
      length = Number(value)
    }
    const head = new RequestHead(raw, length)
    if (!seen.has(':method')) return undefined
    const isWhole = head.method === 'CONNECT' || (seen.has(':scheme') && head.path !== '')
    return isWhole ? head : undefined
  }

  /** The value of header `name`, which is in lower case; several are joined. */
  get(name: string): string | undefined {
    const { raw } = this
    let found: string | undefined
    for (let i = 0; i < raw.length; i += 2) {
      if (raw[i] !== name) continue
      if (found === undefined) found = raw[i + 1]
      else if (!single.has(name)) found += (name === 'cookie' ? '; ' : ', ') + raw[i + 1]
    }
    return found
  }
}

/** Whether `raw` are trailers: headers without pseudo-headers. */
export function isTrailers(raw: readonly string[]): boolean {
  for (let i = 0; i < raw.length; i += 2) if (!isField(raw[i], raw[i + 1]) || !isValue(raw[i + 1])) return false
  return true
}

function isField(name: string, value: string): boolean {
  return isName(name) && !forbidden.has(name) && (name !== 'te' || value.toLowerCase() === 'trailers')
}
