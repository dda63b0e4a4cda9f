import { expect, test } from 'vitest'
import type { ConfiguredPipeline } from '../../core/configured.ts'
import type { JournalEvent, JournalRecord } from '../../core/journal.ts'
import { sendEnd, sendSteps } from '../../service/send-steps.ts'

const pipeline = (id: string, more: Partial<ConfiguredPipeline>): ConfiguredPipeline => ({
  id,
  signal: 'logs',
  receivers: ['otlp'],
  processors: [],
  exporters: [],
  ...more,
})

const pipelines = [
  pipeline('logs', { processors: ['filter', 'batch'], exporters: ['a', 'b'] }),
  pipeline('logs/routed', { exporters: ['routing'] }),
  pipeline('logs/one', { receivers: ['routing'], exporters: ['a'] }),
  pipeline('logs/two', { receivers: ['routing'], exporters: ['b'] }),
  pipeline('logs/counted', { exporters: ['count'] }),
  pipeline('metrics', { signal: 'metrics', receivers: ['count'], exporters: ['b'] }),
  pipeline('logs/round', { receivers: ['forward'], exporters: ['forward', 'a'] }),
]

/** Events as `processor:id@pipeline what` or `exporter:id what`. */
function eventOf(text: string): JournalEvent {
  const [, kind = '', component = '', at = '', what = ''] = /^(\w+):([^@ ]+)@?(\S*) (\w+)$/.exec(text) ?? []
  const rest = { reason: undefined, detail: undefined, took: undefined, sample: undefined }
  return { at: 0, kind, component, pipeline: at, what, items: 1, ...rest } as JournalEvent
}

interface Row {
  readonly into?: string
  readonly events: readonly string[]
  readonly outcome?: JournalRecord['outcome']
  readonly isSettled?: boolean
  /** States by component, without the receiver. */
  readonly steps: readonly string[]
  readonly end: string
}

const passed = ['processor:filter@logs passed', 'processor:batch@logs passed']

test.each<[string, Row]>([
  [
    'the first component that said nothing has it',
    { events: [], steps: ['filter held', 'batch not_reached', 'a not_reached', 'b not_reached'], end: 'on_its_way' },
  ],
  [
    'a component behind which something happened has passed it on',
    {
      events: ['exporter:a delivered'],
      steps: ['filter passed', 'batch passed', 'a delivered', 'b queued'],
      end: 'on_its_way',
    },
  ],
  [
    'a failed attempt is forgotten once it is delivered',
    {
      events: [...passed, 'exporter:a delivered', 'exporter:b attempt_failed', 'exporter:b delivered'],
      steps: ['filter passed', 'batch passed', 'a delivered', 'b delivered'],
      end: 'delivered',
    },
  ],
  [
    'what is lost at one of two is not delivered',
    {
      events: [...passed, 'exporter:a delivered', 'exporter:b attempt_failed', 'exporter:b dead_lettered'],
      steps: ['filter passed', 'batch passed', 'a delivered', 'b dead_lettered'],
      end: 'failed',
    },
  ],
  [
    'a full queue refuses it for all destinations',
    {
      events: [...passed, 'exporter:b refused'],
      outcome: 'refused',
      steps: ['filter passed', 'batch passed', 'a not_reached', 'b refused'],
      end: 'refused',
    },
  ],
  [
    'what is used up goes no further',
    {
      events: ['processor:filter@logs consumed'],
      steps: ['filter consumed', 'batch not_reached', 'a not_reached', 'b not_reached'],
      end: 'consumed',
    },
  ],
  [
    'behind a connector that chooses, all may be next as long as it is on its way',
    {
      into: 'logs/routed',
      events: ['exporter:a delivered'],
      steps: ['routing passed', 'a delivered', 'b queued'],
      end: 'on_its_way',
    },
  ],
  [
    'and once it has ended, only those it came to',
    {
      into: 'logs/routed',
      events: ['exporter:a delivered'],
      isSettled: true,
      steps: ['routing passed', 'a delivered'],
      end: 'delivered',
    },
  ],
  [
    'what a connector makes is not followed',
    { into: 'logs/counted', events: [], steps: ['count taken'], end: 'delivered' },
  ],
  [
    'a ring is gone round once',
    {
      into: 'logs/round',
      events: ['exporter:a delivered'],
      steps: ['forward passed', 'a delivered'],
      end: 'delivered',
    },
  ],
  ['a pipeline that a reload took away leaves nothing to tell', { into: 'gone', events: [], steps: [], end: 'failed' }],
])('%s', (_, { into = 'logs', events, outcome, isSettled = false, steps, end }) => {
  const record: JournalRecord = {
    id: 1,
    at: 0,
    receiver: 'send',
    transport: 'send',
    peer: undefined,
    signal: 'logs',
    items: 1,
    events: events.map(eventOf),
    more: 0,
    outcome,
    answeredAt: undefined,
    answeredBefore: undefined,
    trace: undefined,
    bytes: 0,
    rings: 0,
  }
  const connectors = new Set(['routing', 'count', 'forward'])
  const told = sendSteps(into, { record, pipelines, connectors, isSettled })
  expect(told.slice(1).map(({ component, state }) => `${component} ${state}`)).toEqual(steps)
  expect(sendEnd(told)).toBe(end)
})
