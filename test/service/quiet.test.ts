import { expect, test } from 'vitest'
import { quietComponents } from '../../service/quiet.ts'

/** Components by their ids, of which only the declaration is looked at. */
const of = (ids: Record<string, object>) =>
  new Map(Object.entries(ids).map(([id, definition]) => [id, { id, definition, config: {}, uses: [] }])) as never
const pipeline = (id: string, receivers: string[], processors: string[], exporters: string[]) => ({
  id,
  signal: 'logs' as const,
  receivers,
  processors,
  exporters,
})

test('the components that own telemetry passes are found, through connectors, and others are not', () => {
  const quiet = quietComponents({
    // Who has its data from itself, whatever it is called.
    receivers: of({ otlp: {}, 'internal/own': { origin: 'itself' }, internal: { origin: 'source' } }),
    connectors: of({ forward: {}, other: {} }),
    pipelines: [
      pipeline('logs/behind', ['forward'], ['batch'], ['sink/b', 'forward']),
      pipeline('logs/own', ['internal/own', 'otlp'], ['resource'], ['forward', 'sink/a']),
      pipeline('logs', ['otlp'], ['filter'], ['other', 'sink/c']),
    ],
  })
  expect([...quiet].toSorted()).toEqual([
    'connector forward',
    'exporter sink/a',
    'exporter sink/b',
    'processor batch',
    'processor resource',
    'receiver internal/own',
  ])
  expect(quietComponents({ receivers: of({ otlp: {} }), connectors: of({}), pipelines: [] }).size).toBe(0)
})
