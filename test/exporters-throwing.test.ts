/** Whatever an exporter throws, and wherever: it costs at most the batch it was about, and never the process. Nobody opts in. */
import { expect, test } from 'vitest'
import { Budget, budgetKey } from '../core/budget.ts'
import { components } from './support/components.ts'
import { type Definition, type Exporter } from '../core/component.ts'
import { Host } from '../core/host.ts'
import { listenersKey } from '../net/listeners.ts'
import { runnableConfig } from './support/component-runs.ts'
import { toyGraph } from './support/graph.ts'
import { NotedListeners } from './support/kymo.ts'
import { logs } from './support/loki-server.ts'
import { tracesRequest } from './support/otlp-bytes.ts'
import { metricsRequest } from './support/prometheus-page.ts'

type ExporterDefinition = Extract<Definition, { kind: 'exporter' }>
type Callback = 'fits' | 'send' | 'start' | 'run' | 'stop' | 'leave' | 'adopt'

const two = {
  traces: tracesRequest([{ spans: ['a', 'b'] }]),
  logs: logs([{ 'service.name': 'shop' }, ['a', 'b']]),
  metrics: metricsRequest([{ name: 'g', gauge: { data_points: [{ as_int: 1 }, { as_int: 2 }] } }]),
}

/**
 * The exporter, except that its destination takes everything, and that `callback` of its instance `number` throws once: as it
 * is called, or as a promise.
 */
function throwing(definition: ExporterDefinition, callback: Callback, number: number, late: boolean) {
  let made = 0
  let thrown = 0
  const wrapped: ExporterDefinition = {
    ...definition,
    create(config, context) {
      const inner = definition.create(config, context)
      const mine = made++ === number
      const spoiled = <T>(name: Callback, call: () => T): T | Promise<never> => {
        if (!mine || name !== callback || thrown > 0) return call()
        thrown++
        const error = new Error(`${name} threw`)
        if (!late) throw error
        return Promise.reject(error)
      }
      const exporter: Exporter = {
        // What they return is not looked at as a promise where none is meant to be.
        fits: batch => spoiled('fits', () => inner.fits?.(batch) ?? true) as boolean,
        send: () => spoiled('send', () => Promise.resolve(undefined)),
        start: () => spoiled('start', () => inner.start?.()),
        run: () => void spoiled('run', () => inner.run?.()),
        async stop() {
          // So that a stop that throws leaves nothing open.
          await inner.stop?.()
          return spoiled('stop', () => {})
        },
        // Those that know nothing are asked and offered, too.
        leave: () => spoiled('leave', () => inner.leave?.() ?? 'nothing'),
        adopt: state => spoiled('adopt', () => inner.adopt?.(state) ?? false) as boolean,
      }
      return exporter
    },
  }
  return { definition: wrapped, thrown: () => thrown }
}

const exporters = components.filter(one => one.kind === 'exporter')
const callbacks: readonly (readonly [Callback, instance: number, late: boolean])[] = [
  ['fits', 0, false],
  ['send', 0, false],
  ['send', 0, true],
  ['start', 1, false],
  ['start', 1, true],
  ['run', 0, false],
  ['run', 1, false],
  ['stop', 0, false],
  ['leave', 0, false],
  ['leave', 0, true],
  ['adopt', 1, false],
]
const rows = exporters.flatMap(definition =>
  callbacks.map(
    ([callback, instance, late]) =>
      [definition.type, callback, late ? 'late' : 'at once', definition, instance] as const,
  ),
)

test.each(rows)(
  '%s, when `%s` throws %s: every batch arrives, and the books balance',
  async (_, callback, when, definition, instance) => {
    const [signal] = definition.signals
    const { definition: spoiled, thrown } = throwing(definition, callback, instance, when === 'late')
    const budget = new Budget(1 << 28)
    const listeners = new NotedListeners()
    const host = new Host().provide(budgetKey, budget).provide(listenersKey, listeners)
    const parts = (timeout: string) => ({
      exporters: {},
      components: {
        exporter: {
          definition: spoiled,
          config: {
            ...(runnableConfig(definition, 1) as object),
            timeout,
            retry_on_failure: { initial_interval: '1ms', max_interval: '2ms' },
          },
        },
      },
      pipelines: [{ id: signal, exporters: ['exporter'] }],
    })
    const toy = await toyGraph({ ...parts('5s'), host })
    const push = async () => expect((await toy.push(two[signal], { signal }).outcome).kind).toBe('success')
    await push()
    await push()
    const reload = toy.reload(parts('6s')).then(({ over }) => over)
    // What cannot start does not come to run; the one before goes on.
    if (callback === 'start') await expect(reload).rejects.toThrow('start threw')
    else await reload
    await push()
    await toy.graph.stop(2000)
    await listeners.close()
    expect(thrown()).toBe(1)
    const [books] = toy.books.nodes.filter(node => node.name.kind === 'exporter')
    expect([books.in, books.delivered, books.lost.total, books.failedAttempts]).toEqual([
      6,
      6,
      0,
      callback === 'send' ? 1 : 0,
    ])
    expect(toy.books.faults()).toEqual([])
    expect([toy.budget.used, budget.used]).toEqual([0, 0])
  },
)
