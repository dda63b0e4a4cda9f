/** What a destination or a sender that misbehaves does to the others: the same load, by turns with the fault and without. */
import { connect, type Socket } from 'node:net'
import { setPriority } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { median } from '../../bench/processes.ts'
import { Destination, type Line, type Reply } from './destination.ts'
import { exporterOf, storageIn } from './hostile.ts'
import type { Shape } from './ids.ts'
import { Site, scratch } from './kymo.ts'
import { Ledger } from './ledger.ts'
import { LoadSender, quantile } from './senders.ts'

/** A fault that can be switched on and off; what it returns switches it off. */
export type Fault = (stage: Stage) => Promise<() => Promise<void> | void>

/** What a fault can get at. */
export interface Stage {
  readonly bad: Destination
  readonly site: Site
}

const answering =
  (reply: Reply): Fault =>
  async ({ bad }) => {
    bad.behave = () => reply
    return () => {
      bad.behave = () => ({ does: 'take' })
      // What hangs is let go.
      bad.cut()
    }
  }
const connecting =
  (line: Line): Fault =>
  async ({ bad }) => {
    await bad.line(line)
    return () => bad.line('up')
  }

/** Connections that somebody else keeps busy. */
function bother(site: Site, count: number, each: (socket: Socket, turn: number) => void, interval: number) {
  const sockets = new Set<Socket>()
  const open = (port: number): void => {
    const socket = connect(port, '127.0.0.1')
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.resume()
  }
  let turn = 0
  const timer = setInterval(() => {
    while (sockets.size < count) open(sockets.size % 2 === 0 ? site.ports.http : site.ports.grpc)
    turn++
    for (const socket of sockets) if (socket.writable) each(socket, turn)
  }, interval)
  return () => {
    clearInterval(timer)
    for (const socket of sockets) socket.destroy()
  }
}

const head =
  'POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 100000\r\n\r\n'

/** One byte at a time, from many connections, of a request that is never finished. */
const trickle: Fault = async ({ site }) => {
  const sent = new WeakMap<Socket, number>()
  return bother(
    site,
    100,
    socket => {
      const at = sent.get(socket) ?? 0
      sent.set(socket, at + 1)
      socket.write(at < head.length ? head.slice(at, at + 1) : 'x')
    },
    50,
  )
}

/** Bytes that are no protocol, and requests whose bodies are none. */
const garbage: Fault = async ({ site }) => {
  const bytes = Buffer.from(Array.from({ length: 500 }, (_, i) => (i * 7919) & 255))
  const body =
    'POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\ncontent-length: 500\r\n\r\n'
  return bother(
    site,
    4,
    (socket, turn) => socket.write(turn % 3 === 0 ? bytes : Buffer.concat([Buffer.from(body), bytes])),
    20,
  )
}

/** Faults of a destination, then of senders. */
export const faults: readonly { readonly name: string; readonly fault: Fault }[] = [
  { name: 'a destination that never answers', fault: answering({ does: 'hang' }) },
  { name: 'a destination that answers after a second', fault: answering({ does: 'take', after: 1000 }) },
  { name: 'a destination that fails (503)', fault: answering({ does: 'fail', grpc: 14, http: 503 }) },
  { name: 'a destination that rejects for good (400)', fault: answering({ does: 'fail', grpc: 3, http: 400 }) },
  { name: 'a destination that resets connections', fault: answering({ does: 'reset' }) },
  { name: 'a destination that reads nothing', fault: connecting('silent') },
  { name: 'a destination that is down', fault: connecting('down') },
  { name: 'a hundred senders that bring a byte now and then', fault: trickle },
  { name: 'senders of garbage', fault: garbage },
]

/** How the healthy ones fared. */
interface Fared {
  readonly rate: number
  readonly p50: number
  readonly p99: number
  /** Until the sender's answer. */
  readonly answer99: number
  readonly cpu: number
}

/** One phase: milliseconds until items arrived, and until their senders were answered. */
interface Phase {
  readonly rate: number
  readonly waits: readonly number[]
  readonly answers: readonly number[]
  readonly cpu: number
}

/** All phases without the fault, and all with it. */
export interface Comparison {
  readonly without: Fared
  readonly with: Fared
  /** The p99 of all waits with the fault, as a multiple of that of all without. */
  readonly ratio: number
  /** Drops of the faulty destination, and refusals. */
  readonly dropped: number
  readonly refused: number
}

const shape: Shape = { signal: 'traces', items: 20, size: 150 }

export interface IsolationOptions {
  readonly fault: Fault
  /** Of the queue in front of the faulty destination. */
  readonly queue: object
  /** Whether that queue is on disk. */
  readonly durable?: boolean
  readonly pairs: number
  /** Milliseconds of each phase, and of the time before it that is not looked at. */
  readonly length: number
  readonly settle?: number
  /** Requests a second; as many as go without it. */
  readonly rate?: number
}

/** Lets this process go before others that the machine has, where it may, and the next one too: they are no part of it. */
function hasten(): string[] {
  try {
    setPriority(-15)
    return ['nice', '-n', '0']
  } catch {
    return []
  }
}

/** Runs the phases by turns. */
export async function compare(options: IsolationOptions): Promise<Comparison> {
  const { fault, queue, durable = false, pairs, length, settle = 400, rate } = options
  const ledger = new Ledger()
  const good = await Destination.start(ledger)
  const bad = await Destination.start(new Ledger())
  const [goodExporter] = Object.values(exporterOf('grpc', good, { timeout: '5s' }))
  const mode = durable ? 'durable' : 'memory'
  const [badExporter] = Object.values(exporterOf('grpc', bad, { mode, timeout: '2s', queue }))
  const exporters = { 'otlp_grpc/good': goodExporter, 'otlp_grpc/bad': badExporter }
  const folder = scratch('isolation')
  const extensions = storageIn(mode, folder)
  const site = await Site.make({ exporters, extensions, pipelines: { traces: Object.keys(exporters) } }, folder)
  const sentAt = new Map<number, number>()
  let waits: number[] = []
  good.behave = ({ counters }) => {
    const at = sentAt.get(counters[0])
    if (at !== undefined) waits.push(performance.now() - at)
    return { does: 'take' }
  }
  try {
    await site.start({ prefix: hasten() })
    const pace = rate === undefined ? {} : { rate }
    const options = { ledger, port: site.ports.grpc, transport: 'grpc' as const, shape, concurrency: 16, ...pace }
    const load = new LoadSender({ ...options, onAttempt: first => sentAt.set(first, performance.now()) }).start()
    const phase = async (): Promise<Phase> => {
      await delay(settle)
      waits = []
      load.took.length = 0
      sentAt.clear()
      const from = { at: performance.now(), seen: ledger.seen, cpu: site.cpu() }
      await delay(length)
      const seconds = (performance.now() - from.at) / 1000
      return {
        rate: (ledger.seen - from.seen) / seconds,
        waits,
        answers: [...load.took],
        cpu: (site.cpu() - from.cpu) / seconds,
      }
    }
    await delay(1500)
    const without: Phase[] = []
    const faulty: Phase[] = []
    for (let i = 0; i < pairs; i++) {
      without.push(await phase())
      const end = await fault({ bad, site })
      faulty.push(await phase())
      await end()
    }
    without.push(await phase())
    await load.stop()
    const { books, books_faults } = await site.status()
    if (books_faults.length > 0) throw new Error(books_faults.join('; '))
    const dropped = books.find(one => one.id === 'otlp_grpc/bad')?.dropped['queue_full'] ?? 0
    const all = { without: faredIn(without), with: faredIn(faulty) }
    return { ...all, ratio: all.with.p99 / all.without.p99, dropped, refused: load.counts.refused }
  } finally {
    await site.close()
    await good.close()
    await bad.close()
  }
}

/** Rate and CPU of the middle phase; waits of all of them. */
function faredIn(phases: readonly Phase[]): Fared {
  const waits = phases.flatMap(one => one.waits)
  return {
    rate: median(phases.map(one => one.rate)),
    p50: quantile(waits, 0.5),
    p99: quantile(waits, 0.99),
    answer99: quantile(
      phases.flatMap(one => one.answers),
      0.99,
    ),
    cpu: median(phases.map(one => one.cpu)),
  }
}
