/**
 * OTLP/JSON in both directions by itself, beside what JSON.parse and JSON.stringify alone cost on the same payloads.
 * usage: node bench/json.ts FOLDER [part of a name]     (or PAYLOADS=FOLDER; FOLDER holds traces-gw.bin and so on)
 *
 * The cases run in turn for several rounds, so that what else the machine does hits all alike; the best round counts.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { BufferPool } from '../core/pool.ts'
import type { Memory } from '../proto/growing.ts'
import { jsonToProtobuf } from '../proto/json-read.ts'
import { groupsToJson, protobufToJson } from '../proto/json-write.ts'
import { readRequest } from '../proto/request.ts'
import { type Signal, signals } from '../proto/signals.ts'

interface Case {
  readonly name: string
  /** Items and bytes of JSON of one call. */
  readonly items: number
  readonly bytes: number
  run(): unknown
}

const rounds = 9
const folder = process.argv[2] ?? process.env['PAYLOADS']
if (folder === undefined) {
  process.stderr.write('usage: node bench/json.ts FOLDER [part of a name]\n')
  process.exit(2)
}

function casesOf(signal: Signal, shape: string, path: string, pool: Memory): Case[] {
  const { request } = signals[signal]
  const body = readFileSync(join(path, `${signal}-${shape}.bin`))
  const { groups, items } = readRequest(signal, body)
  const text = protobufToJson(request, body)
  if (!jsonToProtobuf(request, text).equals(body)) throw new Error(`${signal}-${shape} does not come back as it was`)
  const spaced = Buffer.from(JSON.stringify(JSON.parse(text.toString()), undefined, 2))
  const objects: unknown = JSON.parse(text.toString())
  const of = (name: string, run: () => unknown, bytes = text.length): Case => ({
    name: `${name} ${signal}-${shape}`,
    items,
    bytes,
    run,
  })
  return [
    of('read', () => pool.give(jsonToProtobuf(request, text, pool))),
    of('read, without a pool', () => jsonToProtobuf(request, text)),
    of('read, indented', () => pool.give(jsonToProtobuf(request, spaced, pool)), spaced.length),
    of('JSON.parse alone', () => JSON.parse(text.toString())),
    of('write', () => pool.give(groupsToJson(signal, groups, pool))),
    of('write, without a pool', () => groupsToJson(signal, groups)),
    of('JSON.stringify alone', () => Buffer.from(JSON.stringify(objects))),
  ]
}

/** CPU seconds of `times` calls. */
function measure(run: () => unknown, times: number): number {
  const before = process.cpuUsage()
  for (let i = 0; i < times; i++) run()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

/** Calls that take about 60 ms. */
function calibrate(run: () => unknown): number {
  let times = 1
  while (measure(run, times) < 0.03) times *= 2
  return times * 2
}

function report(cases: readonly Case[]): void {
  const times = cases.map(({ run }) => calibrate(run))
  const best = cases.map(() => Infinity)
  for (let round = 0; round < rounds; round++) {
    cases.forEach(({ run }, i) => {
      best[i] = Math.min(best[i], measure(run, times[i]) / times[i])
    })
  }
  const width = Math.max(...cases.map(({ name }) => name.length))
  process.stdout.write(`${''.padEnd(width)}  items per CPU-second   µs per call   MB of JSON per CPU-second\n`)
  cases.forEach(({ name, items, bytes }, i) => {
    const columns = [
      Math.round(items / best[i])
        .toLocaleString('en')
        .padStart(20),
      (best[i] * 1e6).toFixed(1).padStart(12),
      (bytes / best[i] / 1e6).toFixed(0).padStart(26),
    ]
    process.stdout.write(`${name.padEnd(width)}  ${columns.join('  ')}\n`)
  })
}

const wanted = process.argv[3] ?? ''
const pool = new BufferPool()
const path = folder
const all = (['traces', 'logs', 'metrics'] as const).flatMap(signal =>
  ['gw', 'tiny'].flatMap(shape => casesOf(signal, shape, path, pool)),
)
report(all.filter(({ name }) => name.includes(wanted)))
process.exit(0)
