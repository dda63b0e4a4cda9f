/**
 * Micro-benchmarks of the wire layer: items per CPU-second of each step by itself, on the payloads of the comparison.
 * usage: node bench/micro.ts FOLDER [part of a name]     (or PAYLOADS=FOLDER; FOLDER holds traces-gw.bin and so on)
 *
 * The cases run in turn for several rounds, so that what else the machine does hits all alike; the best round counts.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Batch } from '../core/batch.ts'
import { silent } from '../core/logger.ts'
import { tapped } from '../pipelines/flow/tapped.ts'
import { TapStream } from '../service/tap-stream.ts'
import { type Action, Arena } from '../proto/actions.ts'
import { attributeTags, findAttribute } from '../proto/attributes.ts'
import { compileEdits } from '../proto/edits.ts'
import { encodeGroups, type Group } from '../proto/group.ts'
import { compilePattern } from '../proto/pattern.ts'
import { readRequest } from '../proto/request.ts'
import { DROP, KEEP, REPLACE, rewriteItems, type Visitor } from '../proto/rewrite.ts'
import type { Signal } from '../proto/signals.ts'
import { Range } from '../proto/values.ts'

interface Case {
  readonly name: string
  /** Items of one call. */
  readonly items: number
  run(): void
}

const rounds = 7
const folder = process.argv[2] ?? process.env['PAYLOADS']
if (folder === undefined) {
  process.stderr.write('usage: node bench/micro.ts FOLDER [part of a name]\n')
  process.exit(2)
}

const set = (action: 'upsert' | 'insert', key: string, value: string): Action => ({ action, key, source: { value } })
const enrich = [
  set('upsert', 'k8s.cluster.name', 'prod-eu-1'),
  set('upsert', 'deployment.environment.name', 'production'),
  set('upsert', 'cloud.region', 'eu-central-1'),
]
const namespace = Buffer.from('k8s.namespace.name')
const itemTags = { traces: attributeTags.span, logs: attributeTags.logRecord, metrics: attributeTags.metadata }

/** Edits of all resources as the resource processor makes them. */
function editResources(groups: readonly Group[], actions: readonly Action[]): () => Group[] {
  const edits = compileEdits(actions)
  return () => {
    let size = 0
    for (const group of groups) size += group.resourceEnd - group.resourceStart + (edits.growth ?? 0)
    const arena = new Arena(size)
    return groups.map(group =>
      edits.apply(group.resource, group.resourceStart, group.resourceEnd, arena)
        ? group.withResource(arena.bytes, arena.from, arena.at)
        : group,
    )
  }
}

/** What the comparison's attributes processor does with each item. */
function editItems(signal: Signal): Visitor {
  const edits = compileEdits(
    [
      { action: 'delete', key: 'user_agent.original', pattern: undefined },
      { action: 'insert', key: 'env', source: { value: 'production' } },
    ],
    itemTags[signal],
  )
  return { item: (bytes, start, end, out) => (edits.apply(bytes, start, end, out) ? REPLACE : KEEP) }
}

/** Drops every second item by an attribute that has to be looked for. */
function dropByAttribute(signal: Signal): Visitor {
  const key = Buffer.from(signal === 'logs' ? 'thread.id' : 'http.response.status_code')
  const range = new Range()
  let i = 0
  return {
    item: (bytes, start, end) =>
      findAttribute(bytes, start, end, itemTags[signal], key, range) && i++ % 2 === 0 ? DROP : KEEP,
  }
}

const noContext = { receiver: '', transport: '', peer: undefined, metadata: undefined, auth: undefined }

/** Handing a batch on past a tap of so many items a second, as for a viewer who reads all; without a rate there is no tap. */
function handOn(signal: Signal, groups: readonly Group[], items: number, rate?: number, where?: string): () => void {
  let pushed = 0
  const target = { push: (batch: Batch) => void (pushed += batch.items) }
  const order = {
    wanted: where === undefined ? [] : [{ key: where, value: 'none' }],
    trace: undefined,
    limit: Infinity,
  }
  const tap = rate === undefined ? undefined : new TapStream({ ...order, rate, time: 600_000 }, silent, () => {})
  tap?.stream.resume()
  const seen = tap?.at({ kind: 'receiver', id: 'otlp', pipeline: '', signal }, ['out']).out
  const next = tapped(seen === undefined ? [] : [seen], target)
  const batch = new Batch(signal, groups, items, noContext, [])
  return () => next.push(batch)
}

function casesOf(signal: Signal, shape: string, path: string): Case[] {
  const body = readFileSync(join(path, `${signal}-${shape}.bin`))
  const { groups, items } = readRequest(signal, body)
  const range = new Range()
  const upsert = editResources(groups, enrich)
  const edited = upsert()
  const hash = editResources(groups, [
    { action: 'hash', key: 'service.name', pattern: undefined },
    { action: 'extract', key: 'k8s.pod.name', pattern: compilePattern('^(?P<app>.*)-[^-]+-[^-]+$') },
  ])
  const perItem = editItems(signal)
  const drop = dropByAttribute(signal)
  const of = (name: string, run: () => void): Case => ({ name: `${name} ${signal}-${shape}`, items, run })
  return [
    of('readRequest', () => void readRequest(signal, body)),
    of('findAttribute', () => {
      for (const { resource, resourceStart, resourceEnd } of groups) {
        findAttribute(resource, resourceStart, resourceEnd, attributeTags.resource, namespace, range)
      }
    }),
    of('edits: 3 upserts per resource', () => void upsert()),
    of('edits: hash and extract per resource', () => void hash()),
    of('encodeGroups untouched', () => void encodeGroups(groups)),
    of('encodeGroups edited', () => void encodeGroups(edited)),
    of('rewriteItems: delete and insert', () => void rewriteItems(signal, groups, perItem)),
    of('hand on, nobody taps', handOn(signal, groups, items)),
    of('hand on, tapped at 10 items/s', handOn(signal, groups, items, 10)),
    of('hand on, tapped at 100 items/s', handOn(signal, groups, items, 100)),
    of('hand on, tapped for a value nobody has', handOn(signal, groups, items, 100, 'service.name')),
    of('rewriteItems: drop by attribute', () => void rewriteItems(signal, groups, drop)),
  ]
}

/** CPU seconds of `times` calls. */
function measure(run: () => void, times: number): number {
  const before = process.cpuUsage()
  for (let i = 0; i < times; i++) run()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

/** Calls that take about 40 ms. */
function calibrate(run: () => void): number {
  let times = 1
  while (measure(run, times) < 0.02) times *= 2
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
  process.stdout.write(`${''.padEnd(width)}  items per CPU-second   µs per call\n`)
  cases.forEach(({ name, items }, i) => {
    const perSecond = Math.round(items / best[i]).toLocaleString('en')
    process.stdout.write(
      `${name.padEnd(width)}  ${perSecond.padStart(20)}  ${(best[i] * 1e6).toFixed(2).padStart(12)}\n`,
    )
  })
}

const path = folder
const wanted = process.argv[3] ?? ''
const all = (['traces', 'logs', 'metrics'] as const).flatMap(signal =>
  ['gw', 'tiny'].flatMap(shape => casesOf(signal, shape, path)),
)
report(all.filter(({ name }) => name.includes(wanted)))
