import { expect, test } from 'vitest'
import { planText } from '../../cli/reload-text.ts'

const exporter = { kind: 'exporter', id: 'loki', action: 'stop', reason: 'removed', pipelines: [] } as const

test.each([
  [{ queue: 'kept' }, 'its queue is kept'],
  [{ queue: 'drained', remainder: 'lost', waiting: 0 }, 'nothing waits in its queue'],
  [
    { queue: 'drained', remainder: 'lost', waiting: 55 },
    'the 55 items in its queue are sent first, up to the deadline; what is left then is lost',
  ],
  [
    { queue: 'drained', remainder: 'on_disk', waiting: 55 },
    'the 55 items in its queue are sent first, up to the deadline; what is left then stays on disk until somebody replays it',
  ],
] as const)('what becomes of an exporter’s queue is told: %j', (of, text) => {
  const [line] = planText({ components: [{ ...exporter, ...of }], pipelines: [] }).split('\n')
  expect(line).toBe(`  stop     exporter loki; ${text}`)
})
