/** A destination that is killed and started again under load, while another one in the same pipeline is healthy. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { Signal } from '../../../proto/signals.ts'
import { type Account, Site } from '../../faults/kymo.ts'
import { itemsOf, listOf, pointsOf } from '../../support/otlp-proto.ts'
import { Load } from './load.ts'

/** A backend, as far as this goes. */
export interface Victim {
  readonly signal: Signal
  /** Its id and its configuration. */
  readonly exporter: readonly [id: string, config: object]
  kill(): Promise<void>
  restart(): Promise<unknown>
  /** Metrics are counters, whose differences say how many there were. */
  readonly counters?: boolean
  /** Looks at the destination when everything has arrived, while Kymo still runs. */
  meanwhile?(acknowledged: ReadonlySet<string>): Promise<void>
}

/** What came of it. */
export interface Outcome {
  /** Ids of what senders heard success for. */
  readonly acknowledged: ReadonlySet<string>
  readonly load: Load
  /** Ids that the healthy destination has. */
  readonly healthy: ReadonlySet<string>
  /** Items a second that the healthy destination got, before and while the other was away. */
  readonly before: number
  readonly during: number
  /** Of the destination that was killed. */
  readonly account: Account
  readonly faults: readonly string[]
}

/** An OTLP destination that keeps the ids of what it gets. */
async function healthyOne(signal: Signal) {
  const ids = new Set<string>()
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      for (const { item } of itemsOf(signal, Buffer.concat(chunks))) for (const id of idsOf(item)) ids.add(id)
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    ids,
    port: (server.address() as AddressInfo).port,
    close: () => server.closeAllConnections() ?? server.close(),
  }
}

function idsOf(item: Readonly<Record<string, unknown>>): string[] {
  if ('gauge' in item || 'sum' in item) {
    return pointsOf(item).map(point => {
      const [sender, number] = listOf(point, 'attributes').map(
        ({ value }) => Object.values(value as object)[0] as string,
      )
      // Of counters the start says which request it is, in its last digits.
      const request = 'gauge' in item ? point['as_double'] : Number(String(point['start_time_unix_nano']).slice(-6))
      return `${sender}:${String(request)}:${number}`
    })
  }
  const { name, body } = item as { name?: string; body?: { string_value: string } }
  return [name ?? body?.string_value ?? '']
}

/** How long each part takes, in milliseconds. */
const phase = 1800

/** Kills and restarts `victim` under load. What Kymo held has arrived when this resolves. */
export async function outageOf(victim: Victim): Promise<Outcome> {
  const {
    signal,
    exporter: [id, config],
    kill,
    restart,
    counters = false,
  } = victim
  const healthy = await healthyOne(signal)
  const soon = { retry_on_failure: { initial_interval: '100ms', max_interval: '500ms' } }
  const sending_queue = { queue_size: 100_000, batch: { min_size: 500, max_size: 2000 } }
  const exporters = {
    [id]: { ...soon, ...(counters ? {} : { sending_queue }), ...config },
    'otlp_http/healthy': { endpoint: `http://127.0.0.1:${healthy.port}`, compression: 'none' },
  }
  const site = await Site.make({ exporters, pipelines: { [signal]: Object.keys(exporters) } })
  try {
    await site.start()
    const load = new Load(site.ports.http, { signal, senders: 8, rate: 25, items: 10, counters }).start()
    const rate = async () => {
      const from = { at: performance.now(), seen: healthy.ids.size }
      await delay(phase)
      return (healthy.ids.size - from.seen) / ((performance.now() - from.at) / 1000)
    }
    await delay(800)
    const before = await rate()
    await kill()
    const during = await rate()
    await restart()
    await delay(phase)
    // Again, with what is under way when it hits a destination that is catching up.
    await kill()
    await restart()
    await delay(phase / 2)
    await load.stop()
    const { books_faults: faults } = await site.drained(30_000)
    await victim.meanwhile?.(load.acknowledged)
    const account = await site.exporter(id, signal)
    return { acknowledged: load.acknowledged, load, healthy: healthy.ids, before, during, account, faults }
  } finally {
    await site.close()
    healthy.close()
  }
}
