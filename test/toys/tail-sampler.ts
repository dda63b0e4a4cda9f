import * as z from 'zod'
import { defineProcessor } from '../../core/component.ts'
import type { Held } from '../../core/holding.ts'
import { holding } from '../../processors/steps.ts'
import { decided, errors, traceId } from './spans.ts'

const config = z.strictObject({
  wait: z.number().default(1000).describe('Milliseconds from the first span of a trace to the decision.'),
  most: z.number().default(1000).describe('Most traces that wait.'),
})

interface Trace {
  readonly id: string
  readonly due: number
  readonly parts: Held[]
}

/** Keeps traces until they are whole, and hands on those with an error. */
export const tailSampler = defineProcessor<z.output<typeof config>>({
  type: 'toy_tail',
  stability: 'development',
  summary: 'Keeps traces with errors.',
  signals: ['traces'],
  hold: 'state',
  reload: 'again',
  longest: ({ wait }) => wait,
  config,
  examples: [],
  touches: () => [
    { depth: 'item', does: 'drops', key: 'wait', what: 'spans of traces without an error', reason: 'not_sampled' },
    { depth: 'item', does: 'drops', key: 'most', what: 'spans of the oldest traces', reason: 'evicted' },
    { depth: 'item', does: 'moves', key: 'wait', what: 'spans to those of their trace' },
  ],
  create({ wait, most }, context) {
    const traces = new Map<string, Trace>()
    const [notSampled, evicted] = [context.reason('not_sampled', 'rule'), context.reason('evicted', 'lost')]
    const end = (trace: Trace, how: (part: Held) => void): void => {
      traces.delete(trace.id)
      trace.parts.forEach(how)
    }
    const decide = (trace: Trace): void =>
      end(trace, trace.parts.some(errors) ? part => part.emit() : part => part.drop(notSampled))
    const look = (): void => [...traces.values()].filter(({ due }) => due <= context.clock.now()).forEach(decide)
    return holding(context, {
      start: () => void context.clock.every(100, look),
      take(held) {
        for (const [id, part] of held.split(traceId)) {
          const trace = traces.get(id) ?? { id, due: part.since + wait, parts: [] }
          traces.set(id, trace).get(id)?.parts.push(part)
        }
        for (const trace of decided(traces, most)) end(trace, part => part.drop(evicted))
      },
      flush: () => [...traces.values()].forEach(decide),
      pressure: (bytes, mayEmit) =>
        decided(traces, 0, bytes).forEach(trace => (mayEmit ? decide(trace) : end(trace, part => part.drop(evicted)))),
    })
  },
})
