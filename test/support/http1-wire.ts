/** Connections of HTTP/1.1 without a network: what is said on one, in which pieces, and what is heard. */
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Budget } from '../../core/budget.ts'
import { silent } from '../../core/logger.ts'
import { protobufFormat } from '../../net/http-exchange.ts'
import { httpServer } from '../../net/http-server-keys.ts'
import { HttpServer } from '../../net/http-server.ts'

/** Stands for a socket; the other end is this test. */
export class Wire extends Duplex {
  readonly remoteAddress = '127.0.0.1'
  readonly remotePort = 1
  bytesRead = 0
  heard = ''
  /** Whether what is written is taken. */
  isTaken = true
  /** Whether the server has ended the connection. */
  isOver = false
  #pending: (() => void) | undefined

  constructor() {
    // As the sockets of our listeners.
    super({ allowHalfOpen: false })
    this.on('close', () => (this.isOver = true))
  }

  /** As a server is given it. */
  get socket(): Socket {
    return this as unknown as Socket
  }

  say(bytes: Buffer): void {
    this.bytesRead += bytes.length
    this.push(bytes)
  }

  override _read(): void {}
  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.heard += bytes.toString('latin1')
    if (this.isTaken) done()
    else this.#pending = done
  }
  override _final(done: () => void): void {
    this.isOver = true
    done()
  }
  destroySoon(): void {
    this.end(() => this.destroy())
  }
  // What node:http asks of a socket.
  setTimeout(): void {}
  setNoDelay(): void {}
  setKeepAlive(): void {}

  /** What was written is taken from now on. */
  release(): void {
    this.isTaken = true
    const pending = this.#pending
    this.#pending = undefined
    pending?.()
  }

  /** Waits until nothing more happens. */
  async quiet(turns = 4): Promise<void> {
    for (let still = 0, before = ''; still < turns; still = before === this.heard ? still + 1 : 0) {
      before = this.heard
      await nextTurn()
    }
  }
}

/** One answer: its status, and its body. */
export function answersIn(text: string): string[] {
  const answers: string[] = []
  for (let rest = text; rest !== '';) {
    const end = rest.indexOf('\r\n\r\n')
    const head = rest.slice(0, end)
    const status = /^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1] ?? `no answer: ${rest}`
    const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0)
    const body = rest.slice(end + 4, end + 4 + length)
    answers.push(status === '200' ? `200 ${body}` : status)
    rest = end < 0 ? '' : rest.slice(end + 4 + length)
  }
  return answers
}

/** A server that says what it was sent. */
export function echoServer(settings: object = {}, budget = new Budget(64 << 20)) {
  const server = new HttpServer({
    config: httpServer({ endpoint: '127.0.0.1:0' }).parse(settings),
    budget,
    log: silent,
    connected: peer => ({ peer }),
  })
  server.register('/p', [protobufFormat], exchange => {
    budget.release(exchange.charge)
    exchange.reply(exchange.body)
  })
  return { server, budget }
}

/** What comes of `parts`, sent one after the other on a connection of `server`. */
export async function talk(server: { accept(socket: Socket): void }, parts: readonly Buffer[]) {
  const wire = new Wire()
  server.accept(wire.socket)
  for (const part of parts) {
    wire.say(part)
    await nextTurn()
  }
  await wire.quiet()
  const heard = { answers: answersIn(wire.heard), isOver: wire.isOver, text: wire.heard }
  wire.destroy()
  await nextTurn()
  return heard
}
