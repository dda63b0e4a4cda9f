/**
 * The long fuzzing run: `npm run test:fuzz -- [--inputs N] [--minutes N] [--seed N]`. With `--surface` and `--at` it makes
 * one input again and runs it alone.
 */
import { writeFileSync } from 'node:fs'
import { cpus, setPriority } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { configInputs, fuzzConfig } from './config.ts'
import { type Finding, keep, type Tally, tallyOf } from './findings.ts'
import { fuzzFunctions, inputsOf } from './functions.ts'
import { fuzzHttp1, http1Input } from './http1.ts'
import { fuzzHttp2, sessionsOf } from './http2.ts'
import { bytesOf, fuzzHttp2Client, scriptOfInput } from './http2-client.ts'
import { fuzzSockets, type SocketRun } from './sockets.ts'
import type { Stretch, Task } from './worker.ts'

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '1050000' },
    minutes: { type: 'string', default: '15' },
    seed: { type: 'string', default: '1' },
    surface: { type: 'string' },
    at: { type: 'string' },
  },
})
const seed = Number(values.seed)

/** Milliseconds without progress that are a hang. */
const hang = 20_000

interface SurfaceRun {
  readonly tally: Tally
  readonly seconds: number
  /** MiB after each stretch. */
  readonly memory: readonly number[]
}

/** Runs one surface in a thread, which is ended and begun behind the input where it hangs. */
async function inThread(surface: Task['surface'], count: number, seconds: number): Promise<SurfaceRun> {
  const tally = tallyOf(surface)
  const memory: number[] = []
  const began = performance.now()
  const until = began + seconds * 1000
  let from = 0
  while (from < count && performance.now() < until) {
    const progress = new Int32Array(new SharedArrayBuffer(4))
    const task: Task = { surface, seed, from, to: count, progress }
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: task })
    worker.on('message', ({ tally: part, memory: used }: Stretch) => {
      memory.push(used)
      tally.inputs += part.inputs
      tally.accepted += part.accepted
      tally.refused += part.refused
      tally.findings.push(...part.findings.map(one => ({ ...one, input: Buffer.from(one.input) })))
      if (part.slowest > tally.slowest) Object.assign(tally, { slowest: part.slowest, slowestIndex: part.slowestIndex })
    })
    from = await watched(worker, progress, until, tally)
  }
  return { tally, seconds: (performance.now() - began) / 1000, memory }
}

/** Waits for the thread to end; where to go on. */
async function watched(worker: Worker, progress: Int32Array, until: number, tally: Tally): Promise<number> {
  let last = -1
  let since = performance.now()
  const found = (what: string, index: number): void => {
    tally.findings.push({ surface: tally.surface, what, seed, index, input: inputOf(tally, index) })
  }
  return new Promise(resolve => {
    const look = setInterval(() => {
      const now = Atomics.load(progress, 0)
      const at = performance.now()
      if (now !== last) {
        last = now
        since = at
      } else if (at - since > hang) {
        found(`no end within ${hang} ms`, now)
        void worker.terminate().then(() => resolve(now + 1))
      }
      if (at > until) void worker.terminate().then(() => resolve(Infinity))
    }, 500)
    worker.on('error', error => found(`the thread died: ${error instanceof Error ? error.stack : String(error)}`, last))
    worker.on('exit', code => {
      clearInterval(look)
      resolve(code === 0 ? Infinity : Atomics.load(progress, 0) + 1)
    })
  })
}

/** The bytes of input `index` of a surface. */
function inputOf({ surface }: Tally, index: number): Buffer {
  if (surface === 'http1') return http1Input(seed, index)
  if (surface === 'http2') return Buffer.concat(sessionsOf(seed)(index).pieces)
  if (surface === 'http2-client') return bytesOf(scriptOfInput(seed, index))
  if (surface === 'config') return Buffer.from(JSON.stringify(configInputs(seed)(index)))
  return inputsOf(surface === 'json' ? 'json' : 'protobuf', seed)(index).body
}

/** Growth of the second half of a row, by least squares: per step of its first column. */
function slopeOf(points: readonly (readonly [number, number])[]): number {
  const half = points.slice(points.length >> 1)
  const mean = (of: (point: readonly [number, number]) => number) =>
    half.reduce((sum, p) => sum + of(p), 0) / half.length
  const x = mean(p => p[0])
  const y = mean(p => p[1])
  const over = half.reduce((sum, p) => sum + (p[0] - x) * (p[1] - y), 0)
  return over / half.reduce((sum, p) => sum + (p[0] - x) ** 2, 0)
}

const round = (n: number, digits = 0) => n.toFixed(digits)

function report(runs: readonly SurfaceRun[], sockets: SocketRun): string {
  const row = ({ surface, inputs, accepted, refused, slowest, findings }: Tally, seconds: number) =>
    `| ${surface} | ${inputs} | ${accepted} | ${refused} | ${round(inputs / seconds)} | ${round(slowest)} | ${findings.length} |`
  const all = [...runs.map(({ tally }) => tally), ...sockets.tallies]
  const { healthy, samples, filesBefore, filesAfter, sink, items } = sockets
  const first = samples[0] ?? [0, 0, 0]
  const last = samples.at(-1) ?? first
  const perMinute = slopeOf(samples.map(([at, rss]) => [at, rss])) * 60
  const files = samples.map(sample => sample[2])
  const heaps = runs.map(({ tally, memory }) => {
    const grown = slopeOf(memory.map((used, i) => [i, used]))
    return `${tally.surface} ${round(memory[0] ?? 0, 1)} to ${round(memory.at(-1) ?? 0, 1)} MiB (${round(grown, 3)} MiB per 5,000 inputs in the second half)`
  })
  return `# Results of \`npm run test:fuzz\`

Seed ${seed}, Node ${process.versions.node}, ${cpus().length} CPUs, ${new Date().toISOString()}.
${all.reduce((sum, { inputs }) => sum + inputs, 0)} inputs, ${all.reduce((sum, { findings }) => sum + findings.length, 0)} findings.

| Surface | Inputs | Taken | Refused | Per second | Slowest (ms) | Findings |
|---|---|---|---|---|---|---|
${runs.map(({ tally, seconds }) => row(tally, seconds)).join('\n')}
${sockets.tallies.map(tally => row(tally, sockets.seconds)).join('\n')}

The first six run in threads: reader, door, processors, sink with protobufjs; configurations; HTTP/1.1 against Node's parser;
sessions of HTTP/2, and clients of servers that go wrong. Memory when garbage is
collected: ${heaps.join('; ')}.

The others go over sockets to a process of its own, ${round(sockets.seconds)} s:

- Resident memory: ${round(first[1])} MiB at first, ${round(last[1])} MiB at last; ${round(perMinute, 2)} MiB a minute over the second half.
- Open files: ${filesBefore} at first, up to ${Math.max(...files)} under load, ${filesAfter} when the senders had gone (with its own connections).
- Healthy senders beside: ${healthy.sent} requests, all served; p50 ${round(healthy.p50)} ms, p99 ${round(healthy.p99)} ms, longest ${round(healthy.longest)} ms
  (on the same CPUs as the fuzzer).
- ${items} items came in; the destination got ${sink.requests} requests, with ${sink.items} items in those that can be read, and ${sink.unreadable}
  with one that is broken inside; another ${sink.texts} requests came as JSON.

Answers:

${[...sockets.answers]
  .toSorted((a, b) => b[1] - a[1])
  .map(([answer, count]) => `- ${answer}: ${count}`)
  .join('\n')}
`
}

async function again(surface: string, at: number): Promise<readonly Finding[]> {
  if (surface === 'config') return fuzzConfig(seed, at, 1).findings
  if (surface === 'http1') return (await fuzzHttp1(seed, at, 1)).findings
  if (surface === 'http2') return (await fuzzHttp2(seed, at, 1)).findings
  if (surface === 'http2-client') return (await fuzzHttp2Client(seed, at, 1)).findings
  const { findings } = await fuzzFunctions({
    surface: surface === 'json' ? 'json' : 'protobuf',
    seed,
    from: at,
    count: 1,
  })
  return findings
}

async function main(): Promise<number> {
  // Whatever else the machine does goes first.
  setPriority(15)
  if (values.surface !== undefined && values.at !== undefined) {
    const findings = await again(values.surface, Number(values.at))
    for (const { what } of findings) console.log(what)
    return findings.length
  }
  const inputs = Number(values.inputs)
  const seconds = Number(values.minutes) * 60
  const share = (of: number) => Math.ceil(inputs * of)
  const [[protobuf, http2, http2Client], [json, config, http1]] = await Promise.all([
    (async () => {
      const protobuf = await inThread('protobuf', share(0.37), seconds * 0.4)
      const http2 = await inThread('http2', share(0.05), seconds * 0.06)
      return [protobuf, http2, await inThread('http2-client', share(0.05), seconds * 0.06)] as const
    })(),
    (async () => {
      const json = await inThread('json', share(0.23), seconds * 0.25)
      const config = await inThread('config', share(0.05), seconds * 0.17)
      return [json, config, await inThread('http1', share(0.05), seconds * 0.1)] as const
    })(),
  ])
  // Alone, because the process it sends to shares the CPUs.
  const sockets = await fuzzSockets(seed, share(0.25), seconds * 0.45)
  const runs = [protobuf, json, config, http1, http2, http2Client]
  const findings = [...runs.map(({ tally }) => tally), ...sockets.tallies].flatMap(tally => tally.findings)
  keep(findings)
  const text = report(runs, sockets)
  console.log(text)
  for (const { surface, index, what } of findings) console.log(`${surface} ${index}: ${what.slice(0, 500)}`)
  writeFileSync(join(import.meta.dirname, 'RESULTS.md'), text)
  return findings.length
}

process.exitCode = Math.min(1, await main())
