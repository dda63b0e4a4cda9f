/** A receiver that follows files of a folder, which is there for one test. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect } from 'vitest'
import type { Batch } from '../../../core/batch.ts'
import { Books } from '../../../core/books.ts'
import { Budget, budgetKey } from '../../../core/budget.ts'
import { type Clock, machineClock } from '../../../core/clock.ts'
import { finderFor, offered } from '../../../core/capability.ts'
import type { ReceiverDefinition } from '../../../core/component.ts'
import { storageKey } from '../../../core/storage.ts'
import { Host } from '../../../core/host.ts'
import { Status } from '../../../core/status.ts'
import { encodeGroups } from '../../../proto/group.ts'
import { protobufToJson } from '../../../proto/json-write.ts'
import { allSignals, type Signal } from '../../../proto/signals.ts'
import { otlpJsonFile } from '../../../receivers/otlp_json_file/otlp_json_file.ts'
import { keepingLogger, type Line } from '../../support/kymo.ts'
import type { MemoryStorage } from '../../support/storage.ts'
import { spanNames, tracesRequest } from '../../support/otlp-bytes.ts'
import { receiverContext } from '../../support/contexts.ts'
import { until as eventually } from '../../support/until.ts'

export let folder = ''
export const stops: (() => unknown)[] = []
/** For each file of tests: a folder for each test, in which all that was begun is stopped. */
export function inFolder(): void {
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kymo-tail-'))
  })
  afterEach(async () => {
    for (const stop of stops.splice(0).toReversed()) await stop()
    await rm(folder, { recursive: true, force: true })
  })
}

export const at = (name: string) => join(folder, name)
export const line = (...spans: string[]) =>
  `${String(protobufToJson('ExportTraceServiceRequest', tracesRequest([{ namespace: 'shop', spans }])))}\n`
export const linesOf = (...spans: string[]) => spans.map(name => line(name)).join('')

export interface Options {
  storage?: MemoryStorage
  push?(batch: Batch): void
  signals?: readonly Signal[]
  budget?: Budget
  clock?: Clock
}

/** A receiver that reads `*.json*` of the folder. */
export function following(config: object = {}, options: Options = {}) {
  const { budget = new Budget(1 << 28), push = batch => batch.accept() } = options
  const lines: Line[] = []
  const status = new Status()
  status.set('Starting')
  const batches: Batch[] = []
  const seen: string[] = []
  let refusals: Readonly<Record<string, number>> = {}
  const books = new Books()
  const receiver = (otlpJsonFile as ReceiverDefinition<unknown>).create(
    (otlpJsonFile as ReceiverDefinition<unknown>).config.parse({
      include: [at('*.json*')],
      start_at: 'beginning',
      poll_interval: '5ms',
      ...config,
    }),
    receiverContext({
      id: 'otlp_json_file',
      log: keepingLogger(lines),
      clock: options.clock ?? machineClock,
      status,
      extension: finderFor({ id: 'otlp_json_file' }, () => {
        const { storage } = options
        return storage && { offers: [offered(storageKey, () => storage)] }
      }),
      host: new Host().provide(budgetKey, budget),
      signals: new Set(options.signals ?? allSignals),
      books: signal => books.node({ kind: 'receiver', id: 'otlp_json_file', pipeline: '', signal }),
      door: (_, counts) => (refusals = counts),
      push: batch => {
        batches.push(batch)
        // Once it has ended its memory is used again.
        seen.push(...(batch.signal === 'traces' ? spanNames(encodeGroups(batch.groups)) : []))
        push(batch)
      },
    }),
  )
  const stop = async () => receiver.stop?.()
  stops.push(stop)
  void receiver.start?.()
  receiver.run?.()
  const spans = (): readonly string[] => seen
  const until = (...expected: string[]) => eventually(() => expect(spans()).toEqual(expected), 5)
  /** A few polls later. */
  const later = () => new Promise(resolve => setTimeout(resolve, 40))
  return { receiver, batches, budget, lines, status, stop, spans, until, later, refused: () => refusals }
}
