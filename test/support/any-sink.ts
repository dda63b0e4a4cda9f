/** A server that takes whatever is posted to it, as backends say that they did, and keeps it. */
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A request it took. */
export interface Posted {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** One that runs. */
export interface AnySink {
  readonly url: string
  readonly posted: readonly Posted[]
  /** The paths, each once, in order. */
  paths(): string[]
  close(): Promise<void>
}

/** Starts one on a port of the system's choice, which answers as `type` with `answer`. */
export async function anySink(type = 'application/json', answer = '{}'): Promise<AnySink> {
  const posted: Posted[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('error', () => {})
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { url = '', headers, method } = request
      if (method === 'POST') posted.push({ path: url.split('?', 1)[0], headers, body: Buffer.concat(chunks) })
      response.writeHead(202, { 'content-type': type }).end(answer)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    posted,
    paths: () => [...new Set(posted.map(({ path }) => path))].toSorted(),
    close: async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
