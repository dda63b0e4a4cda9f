/** Fuzzing over sockets: broken requests to a process of its own, which meanwhile has to serve healthy ones. */
import { setTimeout as delay } from 'node:timers/promises'
import { Random } from '../support/otlp.ts'
import { healthyItem, requestOfItems } from '../support/broken.ts'
import { grpcSender, httpSend } from '../support/otlp-send.ts'
import { note, type Tally, tallyOf, timed } from './findings.ts'
import { countingSink, startVictim, type StatusDocument, type Victim } from './process.ts'
import { GrpcCalls, type Heard, HttpRequests, sendRaw } from './senders.ts'
import { rawConnection, type WireInput, wireInputs } from './wire-inputs.ts'

/** What a run over sockets came to. */
export interface SocketRun {
  readonly tallies: readonly Tally[]
  /** How often each answer was heard. */
  readonly answers: ReadonlyMap<string, number>
  readonly seconds: number
  /** Of the healthy senders. */
  readonly healthy: { readonly sent: number; readonly p50: number; readonly p99: number; readonly longest: number }
  /** Seconds since the start, MiB resident, open files. */
  readonly samples: readonly (readonly [seconds: number, rss: number, files: number])[]
  /** Open files before the first sender came, and when all had gone. */
  readonly filesBefore: number
  readonly filesAfter: number
  readonly sink: {
    readonly requests: number
    readonly items: number
    readonly unreadable: number
    readonly texts: number
  }
  /** Of the books: items that came in. */
  readonly items: number
}

/** How many are under way at once, and over how many connections. */
const width = 48
const connections = 8
/** One of so many is sent as bytes of a connection. */
const rawEvery = 60

/** Sends `count` requests from the row of `seed`, but stops after `seconds`. */
export async function fuzzSockets(seed: number, count: number, seconds: number): Promise<SocketRun> {
  const sink = await countingSink()
  const victim = await startVictim(sink.port)
  const filesBefore = victim.sample().files
  const tallies = {
    grpc: tallyOf('grpc'),
    protobuf: tallyOf('http-protobuf'),
    json: tallyOf('http-json'),
    raw: tallyOf('raw'),
  }
  const healthy = new HealthySenders(victim)
  const answers = new Map<string, number>()
  const samples: [number, number, number][] = []
  const began = performance.now()
  const watching = setInterval(() => {
    const { rss, files } = victim.sample()
    samples.push([(performance.now() - began) / 1000, rss, files])
  }, 1000)
  const clients = { grpc: new GrpcCalls(victim.grpc, connections), http: new HttpRequests(victim.http, width) }
  const inputOf = wireInputs(seed)
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count && performance.now() - began < seconds * 1000) {
      const index = next++
      const input = inputOf(index)
      const since = performance.now()
      const { tally, heard } = await sendOne(input, index, seed, { victim, clients, tallies })
      timed(tally, index, since)
      tally.inputs++
      if (heard.accepted === true) tally.accepted++
      else tally.refused++
      const word = `${tally.surface}: ${heard.answer}`
      answers.set(word, (answers.get(word) ?? 0) + 1)
      if (heard.fault !== undefined) note(tally, { what: heard.fault, seed, index, input: textOf(input) })
    }
  }
  await Promise.all(Array.from({ length: width }, worker))
  const took = (performance.now() - began) / 1000
  const times = await healthy.stop()
  clients.grpc.close()
  clients.http.close()
  clearInterval(watching)
  const status = await settled(victim)
  await delay(500)
  const filesAfter = victim.sample().files
  const missing = times.names.filter(name => !sink.healthy.has(name))
  const code = await victim.stop()
  const faults = [
    ...times.faults,
    ...faultsOf(status),
    ...(missing.length > 0 ? [`${missing.length} healthy items were answered with success and did not arrive`] : []),
    ...(sink.badTexts > 0 ? [`${sink.badTexts} requests arrived that are no JSON`] : []),
    ...(code === 0 ? [] : [`ended with ${code}`]),
    ...victim.child
      .output()
      .split('\n')
      .filter(line => /"level":"?(?:error|fatal|50|60)|could not be handled|step ended|handing on failed/.test(line)),
  ]
  for (const what of faults) note(tallies.raw, { what, seed, index: -1, input: Buffer.from(victim.child.output()) })
  sink.close()
  const { requests, items, unreadable, texts } = sink
  return {
    tallies: Object.values(tallies),
    answers,
    seconds: took,
    healthy: times,
    samples,
    filesBefore,
    filesAfter,
    sink: { requests, items, unreadable, texts },
    items: status.books.filter(({ kind }) => kind === 'receiver').reduce((sum, node) => sum + node.in, 0),
  }
}

interface Parts {
  readonly victim: Victim
  readonly clients: { readonly grpc: GrpcCalls; readonly http: HttpRequests }
  readonly tallies: Readonly<Record<'grpc' | 'protobuf' | 'json' | 'raw', Tally>>
}

async function sendOne(
  input: WireInput,
  index: number,
  seed: number,
  parts: Parts,
): Promise<{ tally: Tally; heard: Heard }> {
  const { victim, clients, tallies } = parts
  if (index % rawEvery === 0) {
    const { h2, bytes } = rawConnection(new Random(seed + index), input)
    return { tally: tallies.raw, heard: await sendRaw(h2 ? victim.grpc : victim.http, bytes, !h2) }
  }
  if (input.surface === 'grpc') return { tally: tallies.grpc, heard: await clients.grpc.send(input) }
  const tally = index % 4 === 3 ? tallies.json : tallies.protobuf
  return { tally, heard: await clients.http.send(input) }
}

function textOf({ path, method, headers, chunks, ending }: WireInput): Buffer {
  return Buffer.from(
    JSON.stringify({ path, method, headers, ending, chunks: chunks.map(chunk => chunk.toString('base64')) }),
  )
}

/** Waits until nothing is inside any more. */
async function settled(victim: Victim): Promise<StatusDocument> {
  for (let left = 100; ; left--) {
    const status = await victim.status()
    const held = status.books.some(node => node.held > 0)
    if ((!held && status.memory.budget.used_bytes === 0) || left === 0) return status
    await delay(100)
  }
}

function faultsOf({ process, memory, books, books_faults: faults }: StatusDocument): string[] {
  const held = books.filter(node => node.held > 0).map(node => `${node.kind} ${node.id} holds ${node.held} items`)
  const lost = books
    .filter(node => Object.keys(node.lost).length > 0)
    .map(node => `${node.id} lost ${JSON.stringify(node.lost)}`)
  return [
    ...faults,
    ...held,
    ...lost,
    ...(memory.budget.used_bytes === 0 ? [] : [`${memory.budget.used_bytes} bytes are still charged`]),
    ...(process.internal_faults === 0 ? [] : [`${process.internal_faults} internal faults`]),
  ]
}

/** Senders that do everything right: one over gRPC, one over HTTP, a request each every 100 ms. */
class HealthySenders {
  readonly #times: number[] = []
  readonly #faults: string[] = []
  readonly #names: string[] = []
  readonly #done: Promise<unknown>
  readonly #end = new AbortController()

  constructor({ grpc, http }: Victim) {
    const client = grpcSender(`127.0.0.1:${grpc}`)
    const body = (name: string) => requestOfItems('healthy', [healthyItem('traces', name)])
    this.#done = Promise.all([
      this.#run('grpc', async name => {
        const { code, message } = await client.send('traces', body(name), 20_000)
        return code === 0 ? undefined : `${code} ${message}`
      }).finally(client.close),
      this.#run('http', async name => {
        const { status, message } = await httpSend(`127.0.0.1:${http}`, 'traces', body(name))
        return status === 200 ? undefined : `${status} ${message}`
      }),
    ])
  }

  async #run(way: string, send: (name: string) => Promise<string | undefined>): Promise<void> {
    for (let i = 0; !this.#end.signal.aborted; i++) {
      const name = `healthy-${way}-${i}`
      const since = performance.now()
      const fault = await send(name).catch(String)
      this.#times.push(performance.now() - since)
      if (fault === undefined) this.#names.push(name)
      else if (this.#faults.length < 20) this.#faults.push(`a healthy sender over ${way} heard ${fault}`)
      await delay(100)
    }
  }

  async stop() {
    this.#end.abort()
    await this.#done
    const times = this.#times.toSorted((a, b) => a - b)
    const quantile = (q: number) => times[Math.min(times.length - 1, Math.floor(times.length * q))] ?? 0
    const figures = { sent: times.length, p50: quantile(0.5), p99: quantile(0.99), longest: quantile(1) }
    return { ...figures, faults: this.#faults, names: this.#names }
  }
}
