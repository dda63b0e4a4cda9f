/** OTLP requests written by hand with the fewest lines: for tests of the flow, where what is inside does not matter. */
const field = (number: number, body: Uint8Array | string): Buffer => {
  const content = Buffer.from(body)
  const head: number[] = [(number << 3) | 2]
  for (let n = content.length; ; n >>>= 7) {
    head.push(n > 127 ? (n & 127) | 128 : n)
    if (n < 128) break
  }
  return Buffer.concat([Buffer.from(head), content])
}
const attribute = (key: string, value: string) => Buffer.concat([field(1, key), field(2, field(1, value))])

/** A traces request: for each resource its namespace and the names of its spans. */
export function tracesRequest(resources: readonly { namespace?: string; spans: readonly string[] }[]): Buffer {
  return Buffer.concat(
    resources.map(({ namespace, spans }) =>
      field(
        1,
        Buffer.concat([
          field(1, namespace === undefined ? '' : field(1, attribute('k8s.namespace.name', namespace))),
          field(2, Buffer.concat(spans.map(name => field(2, field(5, name))))),
        ]),
      ),
    ),
  )
}

/** `n` span names that start with `prefix`. */
export const names = (prefix: string, n: number): string[] => Array.from({ length: n }, (_, i) => `${prefix}${i}`)

/** The names of all spans in a request or a part of one, found without our own reader. */
export function spanNames(body: Uint8Array): string[] {
  const found: string[] = []
  walk(body, 1, group =>
    walk(group, 2, scope => walk(scope, 2, span => walk(span, 5, name => found.push(String(Buffer.from(name)))))),
  )
  return found
}

function walk(bytes: Uint8Array, wanted: number, visit: (content: Uint8Array) => void): void {
  let at = 0
  const varint = (): number => {
    let n = 0
    for (let shift = 0; ; shift += 7) {
      // Of requests that are not written by `tracesRequest` the names are nonsense, and it ends nevertheless.
      const b = bytes[at++] ?? 0
      n |= (b & 127) << shift
      if (b < 128) return n
    }
  }
  while (at < bytes.length) {
    const tag = varint()
    const length = varint()
    if (tag >> 3 === wanted) visit(bytes.subarray(at, at + length))
    at += Math.max(0, length)
  }
}
