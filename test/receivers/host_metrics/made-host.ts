/** A host whose files a test writes, and a receiver that reads them. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach } from 'vitest'
import { Budget, budgetKey } from '../../../core/budget.ts'
import type { Batch } from '../../../core/batch.ts'
import type { ReceiverDefinition } from '../../../core/component.ts'
import { Host } from '../../../core/host.ts'
import { Status } from '../../../core/status.ts'
import { encodeGroups } from '../../../proto/group.ts'
import { hostMetrics } from '../../../receivers/host_metrics/host_metrics.ts'
import { MovableClock } from '../../support/clock.ts'
import { receiverContext } from '../../support/contexts.ts'
import { keepingLogger, type Line } from '../../support/kymo.ts'
import { decode, type Plain } from '../../support/otlp.ts'
import { until } from '../../support/until.ts'

let root = ''
/** Texts by path; what is a list is the target of a link. */
export type HostText = Readonly<Record<string, string | readonly [string]>>

/** For each file of tests: a folder for each test. */
export function onMadeHost(): void {
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'kymo-host-'))
  })
  afterEach(() => rmSync(root, { recursive: true, force: true }))
}

export function write(files: HostText): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    if (typeof text === 'string') writeFileSync(join(root, path), text)
    else symlinkSync(text[0], join(root, path))
  }
}

/** A point as tests compare it. */
export type Row = readonly [metric: string, attributes: string, value: number]

const all = (message: unknown, key: string): Plain[] => ((message as Plain)[key] ?? []) as Plain[]
const told = (message: unknown): Record<string, unknown> =>
  Object.fromEntries(
    all(message, 'attributes').map(({ key, value }) => [String(key), Object.values(value as Plain)[0]]),
  )

/** What stands in a request: rows by resource and scope. */
export function rowsOf(body: Uint8Array): { resource: Record<string, unknown>; scope: string; rows: Row[] }[] {
  return all(decode('ExportMetricsServiceRequest', body), 'resource_metrics').flatMap(group =>
    all(group, 'scope_metrics').map(inScope => ({
      resource: told(group['resource']),
      scope: String((inScope['scope'] as Plain)['name']).replace(/^.*\/(\w+)scraper$/, '$1'),
      rows: all(inScope, 'metrics').flatMap(metric =>
        all(metric['sum'] ?? metric['gauge'], 'data_points').map((point): Row => [
          String(metric['name']),
          Object.values(told(point)).join(' '),
          Number(point['as_int'] ?? point['as_double'] ?? 0),
        ]),
      ),
    })),
  )
}

/** A receiver whose time a test moves: one second to the first scrape, then ten from each to the next. */
export function receiving(scrapers: object, more: object = {}, given: { budget?: Budget } = {}) {
  const { budget = new Budget(1 << 28) } = given
  const clock = new MovableClock()
  const lines: Line[] = []
  const bodies: Buffer[] = []
  const status = new Status()
  status.set('Starting')
  const definition = hostMetrics as ReceiverDefinition<unknown>
  const config = definition.config.parse({ collection_interval: '10s', root_path: root, scrapers, ...more })
  const context = receiverContext({
    id: 'host_metrics',
    log: keepingLogger(lines),
    clock,
    status,
    host: new Host().provide(budgetKey, budget),
    signals: new Set(['metrics']),
    push(batch: Batch) {
      bodies.push(Buffer.from(encodeGroups(batch.groups)))
      batch.accept()
    },
  })
  const receiver = definition.create(config, context)
  receiver.run?.()
  /** Lets the next scrape happen, and waits for what comes of it. */
  const scrape = async () => {
    const had = bodies.length
    await until(async () => {
      await clock.advance(500)
      if (bodies.length === had) throw new Error('nothing was taken')
    })
    return rowsOf(bodies.at(-1) ?? Buffer.alloc(0))
  }
  return { clock, lines, bodies, status, budget, scrape, stop: async () => receiver.stop?.() }
}
