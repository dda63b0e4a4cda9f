/** A destination over HTTP that answers 413 to what is larger than it takes, and keeps the rest. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { inflateSnappy } from '../../net/snappy.ts'

/** A request, and how large it is. */
export interface Measured {
  readonly path: string
  /** Bytes as they came. */
  readonly wire: number
  /** What they inflate to. */
  readonly plain: Buffer
}

/** One that runs. */
export interface LimitedSink {
  readonly url: string
  readonly taken: readonly Measured[]
  /** Why requests were not taken. */
  readonly over: readonly string[]
  close(): Promise<void>
}

/** Starts one that takes what `over` finds nothing to say of. */
export async function limitedSink(over: (request: Measured) => string | undefined): Promise<LimitedSink> {
  const taken: Measured[] = []
  const refused: string[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('error', () => {})
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { url: path = '', headers } = request
      const body = Buffer.concat(chunks)
      const plain = inflated(headers['content-encoding'], headers['content-type'], body)
      const measured = { path, wire: body.length, plain }
      const complaint = request.method === 'POST' ? over(measured) : undefined
      if (complaint !== undefined) {
        refused.push(complaint)
        response.writeHead(413).end(complaint)
        return
      }
      if (request.method === 'POST') taken.push(measured)
      // What a receiver of remote write 2.0 has to say; others do not look at it.
      response.writeHead(200, { 'x-prometheus-remote-write-samples-written': '999999999' }).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    taken,
    over: refused,
    close: async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

function inflated(encoding: string | undefined, type: string | undefined, body: Buffer): Buffer {
  if (encoding === 'gzip') return gunzipSync(body)
  if (encoding === 'zstd') return zstdDecompressSync(body)
  // Loki's push has snappy as a part of its format.
  return encoding === 'snappy' || type === 'application/x-protobuf' ? inflateSnappy(body, 1 << 28) : body
}
