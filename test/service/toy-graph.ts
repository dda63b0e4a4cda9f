/** A graph of one receiver and one exporter that moves what the test tells it to. */
import type { NodeBooks } from '../../core/books.ts'
import { Status } from '../../core/status.ts'
import type { GraphSurroundings, RunningGraph } from '../../service/service-plan.ts'

export interface ToyGraph extends RunningGraph {
  readonly receiver: NodeBooks
  readonly exporter: NodeBooks
  readonly calls: string[]
}

export function toyGraph(
  surroundings: GraphSurroundings,
  behaviour: { start?: () => Promise<void>; lost?: number } = {},
): ToyGraph {
  const { books, onStatus } = surroundings
  const receiver = books.node({ kind: 'receiver', id: 'toy', pipeline: '', signal: 'traces' })
  const exporter = books.node({ kind: 'exporter', id: 'toy/out', pipeline: '', signal: 'traces' })
  const status = new Status((changed, from) => onStatus({ kind: 'exporter', id: 'toy/out' }, changed, from))
  const calls: string[] = []
  return {
    receiver,
    exporter,
    calls,
    components: [
      { kind: 'receiver', id: 'toy', type: 'toy', pipeline: undefined, status: new Status() },
      { kind: 'exporter', id: 'toy/out', type: 'toy', pipeline: undefined, status },
    ],
    async start() {
      calls.push('start')
      status.set('Starting')
      await behaviour.start?.()
      status.set('OK')
    },
    async stop(deadline) {
      calls.push(`stop ${deadline}`)
      const lost = behaviour.lost ?? 0
      exporter.in += lost
      exporter.lost.of('shutdown').value += lost
      return { lost }
    },
    exporters: () => [
      {
        id: 'toy/out',
        signal: 'traces',
        queueSize: 3,
        queueCapacity: 1000,
        inFlight: 1,
        latency: { quantile: q => (q === 0.99 ? 12.5 : undefined) },
      },
    ],
  }
}
