import { expect, test } from 'vitest'
import { quietComponents } from '../../service/quiet.ts'

const component = (kind: string, id: string) => ({ kind, id, type: id.split('/')[0] })
const pipeline = (id: string, receivers: string[], processors: string[], exporters: string[]) => ({
  id,
  signal: 'logs' as const,
  receivers,
  processors,
  exporters,
})

test('the components that own telemetry passes are found, through connectors, and others are not', () => {
  const quiet = quietComponents({
    components: [
      component('receiver', 'otlp'),
      component('receiver', 'internal/own'),
      component('connector', 'forward'),
      component('connector', 'other'),
    ],
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
  expect(quietComponents({ components: [component('receiver', 'otlp')] }).size).toBe(0)
})
