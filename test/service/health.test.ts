import { expect, test } from 'vitest'
import { type Health, healthKey } from '../../core/health.ts'
import { silent } from '../../core/logger.ts'
import { Service } from '../../service/service.ts'
import { toyGraph } from './toy-graph.ts'

test('extensions are told how the process is, from its start to its end', async () => {
  let health: Health | undefined
  const seen: [string | undefined, boolean | undefined][] = []
  const look = () => seen.push([health?.phase(), health?.ready()])
  const pipelines = [
    { id: 'traces', signal: 'traces', receivers: ['toy'], processors: [], exporters: ['toy/out'] },
  ] as const
  const service = new Service({
    graph(surroundings) {
      health = surroundings.host.get(healthKey)
      look()
      expect(health.components()).toEqual([])
      return { ...toyGraph(surroundings), pipelines }
    },
    log: silent,
    version: '1.2.3',
    admin: { endpoint: '127.0.0.1:0', metrics: true },
  })
  await service.start()
  look()
  expect(health?.version).toBe('1.2.3')
  expect(Math.abs(Date.now() - (health?.started ?? 0))).toBeLessThan(10_000)
  expect(health?.components().map(({ kind, id, status }) => [kind, id, status.state])).toEqual([
    ['receiver', 'toy', 'None'],
    ['exporter', 'toy/out', 'OK'],
  ])
  expect(health?.pipelines()).toEqual(pipelines)
  await service.stop(100)
  look()
  expect(seen).toEqual([
    ['starting', false],
    ['running', true],
    ['stopped', false],
  ])
})
