import { expect, test } from 'vitest'
import { Books } from '../../core/books.ts'
import { type State, Status } from '../../core/status.ts'
import { pipelineDocuments } from '../../service/pipeline-pages.ts'
import { Rates } from '../../service/rates.ts'

const now = Date.now()
const statusOf = (state: State): Status => {
  const status = new Status()
  if (state === 'None') return status
  status.set('Starting')
  if (state !== 'Starting') status.set(state, state === 'OK' ? undefined : 'trouble')
  return status
}

/** Two pipelines of traces behind one receiver, one with steps and one without, and one of logs. */
function documents(states: Readonly<Record<string, State>> = {}) {
  const books = new Books()
  const node = (kind: 'receiver' | 'processor' | 'exporter', id: string, pipeline = '', signal = 'traces' as const) =>
    books.node({ kind, id, pipeline, signal })
  const [otlp, sink, other] = [node('receiver', 'otlp'), node('exporter', 'sink'), node('exporter', 'other')]
  const [filter, batch] = [node('processor', 'filter', 'traces'), node('processor', 'batch', 'traces')]
  Object.assign(otlp, { in: 600, out: 600, doubled: 600 })
  Object.assign(filter, { in: 600, out: 480 })
  filter.dropped.of('namespace_system').value = 120
  Object.assign(batch, { in: 480, out: 420 })
  batch.holds(() => 60)
  books.edge(otlp, filter).carried = 600
  books.edge(batch, sink).carried = 420
  books.edge(otlp, sink).carried = 600
  books.edge(otlp, other).carried = 600
  const components = [
    ...(['otlp', 'sink', 'other'] as const).map(id => ({ id, pipeline: undefined })),
    ...(['filter', 'batch'] as const).map(id => ({ id, pipeline: 'traces' })),
    { id: 'filter', pipeline: 'traces/elsewhere' },
  ].map(({ id, pipeline }) => ({
    kind: 'processor' as const,
    id,
    type: id,
    pipeline,
    status: statusOf(pipeline === 'traces/elsewhere' ? 'FatalError' : (states[id] ?? 'OK')),
  }))
  const common = { signal: 'traces' as const, receivers: ['otlp'] }
  return pipelineDocuments({
    pipelines: [
      { ...common, id: 'traces', processors: ['filter', 'batch'], exporters: ['sink'] },
      { ...common, id: 'traces/plain', processors: [], exporters: ['other', 'sink'] },
      { id: 'logs', signal: 'logs', receivers: ['files'], processors: [], exporters: ['nowhere'] },
    ],
    components,
    books,
    rates: new Rates(books, now - 60_000),
  })
}

test('what goes in and comes out, what is dropped and held; without steps what the receivers hand on', () => {
  const [steps, plain, logs] = documents()
  const way = { receivers: ['otlp'], processors: ['filter', 'batch'], exporters: ['sink'] }
  expect(steps).toMatchObject({ id: 'traces', ...way, state: 'OK', in: 600, out: 420, dropped: 120, lost: 0, held: 60 })
  expect(steps?.items_per_second).toEqual({ in: expect.closeTo(10, 0), out: expect.closeTo(7, 0) })
  expect(plain).toMatchObject({ id: 'traces/plain', in: 600, out: 600, dropped: 0, held: 0 })
  expect(logs).toMatchObject({ id: 'logs', state: 'None', in: 0, out: 0 })
})

test.each([
  [{ sink: 'RecoverableError' }, ['RecoverableError', 'RecoverableError']],
  [{ filter: 'PermanentError', sink: 'RecoverableError' }, ['PermanentError', 'RecoverableError']],
  [{ other: 'Starting' }, ['OK', 'Starting']],
  // Its exporters start before it does.
  [{ otlp: 'None' }, ['None', 'None']],
] as const)('a pipeline is as well as the worst of its own components: %o', (states, expected) => {
  expect(documents(states).map(({ state }) => state)).toEqual([...expected, 'None'])
})
