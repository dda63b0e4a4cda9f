/** A server of HTTP/2 that knows nothing of gRPC: it answers what is whole with what came, and tells what it heard. */
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { Budget } from '../../core/budget.ts'
import { packHeaders } from '../../net/http2/message.ts'
import type { RequestHead } from '../../net/http2/request-head.ts'
import { ServerSession, type SessionSocket } from '../../net/http2/server-session.ts'
import { ServerStream } from '../../net/http2/server-stream.ts'
import type { SessionRules } from '../../net/http2/session-rules.ts'

const head = packHeaders([
  [':status', '200'],
  ['content-type', 'text/plain'],
])
const trailers = packHeaders([['x-trailer', 'end']])

/** What a test may set. */
export interface EchoOptions {
  readonly rules?: Partial<SessionRules>
  readonly budget?: Budget
  /** Holds answers back until they are asked for. */
  readonly holds?: boolean
}

/** One stream. */
class Echo extends ServerStream {
  readonly #server: EchoServer
  readonly #session: ServerSession
  readonly #parts: Buffer[] = []

  constructor(server: EchoServer, session: ServerSession, id: number, head: RequestHead, window: number) {
    super(id, head, window)
    this.#server = server
    this.#session = session
  }

  opened(): void {
    this.#server.heard.push(`${this.id} opened`)
  }

  received(bytes: Buffer, from: number, to: number): void {
    this.#parts.push(Buffer.from(bytes.subarray(from, to)))
  }

  completed(): void {
    this.#server.heard.push(`${this.id} completed`)
    this.#server.bodies.set(this.id, Buffer.concat(this.#parts))
    const body = this.arrived > 0 ? Buffer.concat(this.#parts) : Buffer.from('nothing came')
    const answer = () => this.#session.send(this, { head, body, trailers })
    if (this.#server.options.holds) this.#server.held.push(answer)
    else answer()
  }

  closed(): void {
    this.#server.heard.push(`${this.id} closed`)
  }
}

/** See above. */
export class EchoServer {
  readonly options: EchoOptions
  readonly budget: Budget
  /** What happened, in order. */
  readonly heard: string[] = []
  /** Faults of the server itself. */
  readonly faults: unknown[] = []
  readonly bodies = new Map<number, Buffer>()
  readonly held: (() => void)[] = []
  /** Told of each head. */
  onHead: ((head: RequestHead) => void) | undefined
  readonly sessions = new Set<ServerSession>()
  readonly #net = createServer({ noDelay: true }, socket => this.accept(socket))

  constructor(options: EchoOptions = {}) {
    this.options = options
    this.budget = options.budget ?? new Budget(64 << 20)
  }

  /** Takes a connection over. */
  accept(socket: SessionSocket, onStream?: (stream: ServerStream) => void): ServerSession {
    const rules: SessionRules = {
      streams: 100,
      streamWindow: 1 << 20,
      window: 4 << 20,
      headers: { count: 200, bytes: 32_768 },
      ...this.options.rules,
    }
    const session: ServerSession = new ServerSession(
      socket,
      {
        make: (id, head) => {
          this.onHead?.(head)
          const stream = new Echo(this, session, id, head, rules.streamWindow)
          onStream?.(stream)
          return stream
        },
        greeted: () => void this.heard.push('greeted'),
        pinged: () => void this.heard.push('pinged'),
        strange: fault => void this.heard.push(fault),
        flooded: () => void this.heard.push('flooded'),
        failed: error => void this.faults.push(error),
        gone: () => {
          this.sessions.delete(session)
          this.heard.push('gone')
        },
      },
      rules,
      this.budget,
    )
    this.sessions.add(session)
    return session
  }

  /** Listens, and says where. */
  async listen(port = 0): Promise<number> {
    await once(this.#net.listen(port, '127.0.0.1'), 'listening')
    return (this.#net.address() as AddressInfo).port
  }

  /** Ends everything. */
  close(): void {
    for (const session of this.sessions) session.destroy()
    this.#net.close()
  }
}
