/** Stands between Kymo and a backend over HTTP: keeps what the backend took, and fails in its place where a test wants that. */
import { createServer, type IncomingHttpHeaders, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A request and how it was answered. */
export interface Passed {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly status: number
  /** When it came, in milliseconds. */
  readonly at: number
}

/** An answer in place of the backend's. */
export interface Failure {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** A proxy that runs. */
export interface Proxy {
  /** `127.0.0.1:port`. */
  readonly address: string
  readonly passed: readonly Passed[]
  /** Answers to give to the next requests. */
  readonly failures: Failure[]
  close(): Promise<void>
}

/** Starts a proxy in front of `port`. Where the backend is away, its senders' connections break. */
export async function proxyTo(port: number): Promise<Proxy> {
  const passed: Passed[] = []
  const failures: Failure[] = []
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = []
    const at = performance.now()
    incoming.on('error', () => {})
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const { url: path = '', headers, method } = incoming
      const body = Buffer.concat(chunks)
      const note = (status: number) => passed.push({ path, headers, body, status, at })
      const failure = failures.shift()
      if (failure !== undefined) {
        note(failure.status)
        response.writeHead(failure.status, failure.headers).end(failure.body)
        return
      }
      const outgoing = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, answer => {
        const parts: Buffer[] = []
        answer.on('data', (part: Buffer) => parts.push(part))
        answer.on('error', () => response.destroy())
        answer.on('end', () => {
          if (!answer.complete) {
            response.destroy()
            return
          }
          note(answer.statusCode ?? 0)
          relay(response, answer.statusCode ?? 502, answer.headers, Buffer.concat(parts))
        })
      })
      outgoing.on('error', () => response.destroy())
      outgoing.end(body)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    passed,
    failures,
    close: async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

function relay(response: ServerResponse, status: number, headers: IncomingHttpHeaders, body: Buffer): void {
  const { 'transfer-encoding': _, connection: __, ...kept } = headers
  response.writeHead(status, kept).end(body)
}
