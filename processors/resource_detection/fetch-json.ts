import { request as httpRequest, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'

/** Most bytes of an answer. */
const maxAnswer = 4 << 20

/** The JSON object that a server answers with. @throws when it is not there, refuses, or answers something else */
export function fetchJson(
  options: RequestOptions & { readonly ca?: Buffer; readonly tls?: boolean },
  abort: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  return new Promise((resolve, reject) => {
    const send = options.tls === true ? httpsRequest : httpRequest
    const request = send({ agent: false, ...options, signal: abort }, response => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('error', reject)
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > maxAnswer) response.destroy(new Error('the answer is too large'))
        else chunks.push(chunk)
      })
      response.on('end', () => {
        try {
          if (response.statusCode !== 200) throw new Error(`it answered ${response.statusCode}`)
          resolve(objectIn(Buffer.concat(chunks).toString()))
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)))
        }
      })
    })
    request.on('error', reject)
    request.end()
  })
}

function objectIn(text: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null) throw new Error('the answer is no JSON object')
  return { ...value }
}

/** A text in an object, by its path. @throws when it is not there */
export function textAt(value: unknown, ...path: readonly string[]): string {
  let at: unknown = value
  for (const key of path) at = typeof at === 'object' && at !== null ? Reflect.get(at, key) : undefined
  if (typeof at !== 'string') throw new Error(`the answer has no \`${path.join('.')}\``)
  return at
}
