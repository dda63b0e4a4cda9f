import { afterEach, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { defineExporter, defineReceiver, type ReceiverContext } from '../../../core/component.ts'
import { DeliveryError } from '../../../core/errors.ts'
import { sending } from '../../../core/sending.ts'
import { batch } from '../../../processors/batch.ts'
import { namespaceFilter } from '../../../processors/namespace_filter.ts'
import { toyGraph, type ToyGraph, type ToyParts, type ToySink } from '../../support/graph.ts'
import { names, tracesRequest } from '../../support/otlp-bytes.ts'

let toy: ToyGraph
afterEach(async () => {
  await toy.graph.stop(200)
  expect(toy.books.faults()).toEqual([])
  expect(toy.budget.used).toBe(0)
})

const span = (name: string) => tracesRequest([{ spans: [name] }])
const kindOf = async (name: string) => (await toy.push(span(name)).outcome).kind
const node = (id: string) => toy.books.nodes.find(({ name }) => name.id === id)
const states = () => toy.graph.components.map(({ kind, id, status }) => `${kind} ${id} ${status.state}`)
/** A step that keeps what it gets until it is told to flush, or ends. */
const gathering = (timeout = '1h') => ({ definition: batch, config: { timeout, send_batch_size: 1000 } })
const few = { sending_queue: { queue_size: 2, num_consumers: 1 } }

/** Hangs until released. */
function hang(sink: ToySink): () => void {
  const waiting: (() => void)[] = []
  sink.behave = () => new Promise(resolve => waiting.push(() => resolve(undefined)))
  return () => {
    sink.behave = () => Promise.resolve(undefined)
    for (const one of waiting.splice(0)) one()
  }
}
const refuses = (sink: ToySink) => {
  sink.behave = () => Promise.reject(new DeliveryError('DELIVERY_BUSY', 'retry', 'come again'))
}
const slowly = { retry_on_failure: { initial_interval: '20ms', max_interval: '20ms' } }

/** Two exporters, one of which hangs, so that the batch step in front gathers. */
async function gatheringBehind(): Promise<{ parts: ToyParts; release: () => void }> {
  const parts: ToyParts = {
    exporters: { sink: { sending_queue: { enabled: false } } },
    components: { batch: gathering() },
    pipelines: [{ processors: ['batch'], exporters: ['sink'] }],
  }
  toy = await toyGraph(parts)
  const release = hang(toy.sinks['sink'])
  toy.push(span('first'))
  await expect.poll(() => toy.sinks['sink'].attempts.length).toBe(1)
  toy.push(span('held'))
  expect(node('batch')?.held()).toBe(1)
  return { parts, release }
}

test('what did not change goes on as it is: instances, and what they hold', async () => {
  const { parts, release } = await gatheringBehind()
  const [sink] = [toy.sinks['sink']]
  await (
    await toy.reload(parts)
  ).over
  expect(toy.sinks['sink']).toBe(sink)
  expect(node('batch')?.held()).toBe(1)
  release()
  await expect.poll(() => sink.all).toEqual(['first', 'held'])
})

describe('a step', () => {
  test.each<[string, Partial<ToyParts>]>([
    ['that changed', { components: { batch: gathering('2h') } }],
    ['that is gone', { components: {}, pipelines: [{ exporters: ['sink'] }] }],
    ['of a pipeline that is gone', { components: {}, pipelines: [{ id: 'traces/new', exporters: ['sink'] }] }],
    [
      'in whose place another one stands',
      { components: { 'batch/2': gathering() }, pipelines: [{ processors: ['batch/2'], exporters: ['sink'] }] },
    ],
    [
      'that is followed by a new one',
      {
        components: { batch: gathering('2h'), 'batch/2': gathering() },
        pipelines: [{ processors: ['batch', 'batch/2'], exporters: ['sink'] }],
      },
    ],
  ])('%s hands on what it holds, and its senders hear success', async (_, change) => {
    const { parts, release } = await gatheringBehind()
    const { outcome } = toy.push(span('waits'))
    const { over } = await toy.reload({ ...parts, ...change })
    expect(toy.books.faults()).toEqual([])
    await expect.poll(() => toy.sinks['sink'].attempts.flat()).toEqual(['first', 'held', 'waits'])
    release()
    await over
    expect((await outcome).kind).toBe('success')
    expect(toy.sinks['sink'].all.toSorted()).toEqual(['first', 'held', 'waits'])
    expect(await kindOf('after')).toBe('success')
    expect(toy.sinks['sink'].all).toContain('after')
    expect(toy.books.faults()).toEqual([])
  })

  test('that did not change keeps what it holds when its neighbours change', async () => {
    const { parts, release } = await gatheringBehind()
    const filter = { definition: namespaceFilter }
    const around = {
      components: { batch: gathering(), 'namespace_filter/a': filter, 'namespace_filter/b': filter },
      pipelines: [{ processors: ['namespace_filter/a', 'batch', 'namespace_filter/b'], exporters: ['sink'] }],
    }
    await (
      await toy.reload({ ...parts, ...around })
    ).over
    expect(node('batch')?.held()).toBe(1)
    release()
    await expect.poll(() => toy.sinks['sink'].all).toEqual(['first', 'held'])
    expect(node('namespace_filter/a')?.in).toBe(0)
    expect(node('namespace_filter/b')?.out).toBe(1)
  })

  test('that changes places is left by nothing that has not been through all of them', async () => {
    const { parts, release } = await gatheringBehind()
    const filter = { definition: namespaceFilter }
    const two = (order: string[]) => ({
      ...parts,
      components: { batch: gathering(), namespace_filter: filter },
      pipelines: [{ processors: order, exporters: ['sink'] }],
    })
    release()
    await (
      await toy.reload(two(['batch', 'namespace_filter']))
    ).over
    await expect.poll(() => toy.sinks['sink'].all).toEqual(['first', 'held'])
    const again = hang(toy.sinks['sink'])
    toy.push(span('second'))
    await expect.poll(() => toy.sinks['sink'].attempts.length).toBe(3)
    toy.push(tracesRequest([{ namespace: 'kube-system', spans: ['system'] }]))
    toy.push(span('third'))
    const { over } = await toy.reload(two(['namespace_filter', 'batch']))
    await expect.poll(() => toy.sinks['sink'].attempts.at(-1)).toEqual(['third'])
    again()
    await over
    expect(node('namespace_filter')?.dropped.total).toBe(1)
  })
})

describe('an exporter', () => {
  test('that changed sends what waited in the queue of the one before, in order, while the destination is down', async () => {
    toy = await toyGraph({ exporters: { sink: { ...few, ...slowly } } })
    const old = toy.sinks['sink']
    refuses(old)
    expect([await kindOf('a'), await kindOf('b')]).toEqual(['success', 'success'])
    expect(await kindOf('refused')).toBe('refused')
    toy.pushUnattended(span('parked'))
    const changed = { ...few, ...slowly, timeout: '7s' }
    const { over } = await toy.reload({ exporters: { sink: changed } })
    expect(toy.sinks['sink']).not.toBe(old)
    await expect.poll(() => toy.sinks['sink'].all).toEqual(['a', 'b', 'parked'])
    await over
    expect(old.all).toEqual([])
    expect(await kindOf('c')).toBe('success')
    expect(toy.graph.exporters()).toMatchObject([{ id: 'sink', queueCapacity: 2 }])
    expect(states().filter(state => state.startsWith('exporter'))).toEqual(['exporter sink OK'])
  })

  test('that changed lets what is being sent end', async () => {
    toy = await toyGraph({ exporters: { sink: few } })
    const old = toy.sinks['sink']
    const release = hang(old)
    toy.push(span('a'))
    await expect.poll(() => old.attempts.length).toBe(1)
    const { over } = await toy.reload({ exporters: { sink: { ...few, timeout: '7s' } } })
    expect(await kindOf('b')).toBe('success')
    await expect.poll(() => toy.sinks['sink'].all).toEqual(['b'])
    expect(toy.books.faults()).toEqual([])
    release()
    await over
    expect(old.all).toEqual(['a'])
    expect(node('sink')).toMatchObject({ in: 2, delivered: 2 })
  })

  test('that is gone sends what waits for it, is shown until then, and is counted for ever', async () => {
    toy = await toyGraph({ exporters: { 'sink/old': few } })
    const release = hang(toy.sinks['sink/old'])
    for (const name of ['a', 'b']) expect(await kindOf(name)).toBe('success')
    toy.pushUnattended(span('parked'))
    const { over } = await toy.reload({ exporters: { 'sink/new': {} } })
    expect(await kindOf('c')).toBe('success')
    // What found no room goes to who sends now.
    await expect.poll(() => toy.sinks['sink/new'].all).toEqual(['parked', 'c'])
    expect(states()).toEqual(['receiver toy OK', 'exporter sink/new OK', 'exporter sink/old OK'])
    expect(toy.graph.exporters().map(({ id }) => id)).toEqual(['sink/old', 'sink/new'])
    expect(node('sink/old')?.retired).toBe(false)
    release()
    await over
    expect(toy.sinks['sink/old'].all).toEqual(['a', 'b'])
    expect(states()).toEqual(['receiver toy OK', 'exporter sink/new OK'])
    expect(node('sink/old')).toMatchObject({ delivered: 2, retired: true })
  })

  test('that is gone and whose destination is down gives up at the deadline, and the books say so', async () => {
    toy = await toyGraph({ exporters: { 'sink/old': few } })
    hang(toy.sinks['sink/old'])
    for (const name of ['a', 'b']) expect(await kindOf(name)).toBe('success')
    const { over } = await toy.reload({ exporters: { 'sink/new': {} } }, 50)
    await over
    expect(node('sink/old')?.lost.of('shutdown').value).toBe(2)
  })

  test('that comes back while it still sends takes over what is left', async () => {
    toy = await toyGraph({ exporters: { sink: few } })
    const old = toy.sinks['sink']
    const release = hang(old)
    for (const name of ['a', 'b']) expect(await kindOf(name)).toBe('success')
    const gone = await toy.reload({ exporters: { 'sink/other': {} } })
    const back = await toy.reload({ exporters: { sink: few } })
    await expect.poll(() => toy.sinks['sink'].all).toEqual(['b'])
    release()
    await Promise.all([gone.over, back.over])
    expect(old.all).toEqual(['a'])
    expect(node('sink')).toMatchObject({ in: 2, delivered: 2, retired: false })
  })

  test('that cannot start leaves everything as it was', async () => {
    toy = await toyGraph({ exporters: { sink: few } })
    const [old] = [toy.sinks['sink']]
    let stopped = 0
    const definition = defineExporter({
      type: 'broken',
      stability: 'stable',
      summary: 'Does not start.',
      signals: ['traces'],
      ordering: 'none',
      config: z.strictObject(sending()),
      examples: [],
      create: () => ({
        start: () => Promise.reject(new Error('no luck')),
        stop: () => void stopped++,
        send: () => Promise.reject(new Error('never')),
      }),
    })
    const parts = {
      exporters: { sink: { timeout: '7s' } },
      components: { broken: { definition } },
      pipelines: [{ exporters: ['sink', 'broken'] }],
    }
    await expect(toy.reload(parts)).rejects.toThrow('failed to start exporter broken: no luck')
    expect(stopped).toBe(1)
    expect(await kindOf('a')).toBe('success')
    await expect.poll(() => old.all).toEqual(['a'])
    expect(states()).toEqual(['receiver toy OK', 'exporter sink OK'])
    expect(node('broken')?.retired).toBe(true)
  })
})

describe('a receiver', () => {
  /** Pushes as soon as it starts, and then does what `start` does. */
  const eager = (start: () => void) => {
    const contexts: ReceiverContext[] = []
    const definition = defineReceiver({
      type: 'eager',
      stability: 'stable',
      summary: 'Pushes at once.',
      signals: ['traces'],
      config: z.strictObject({ x: z.number().default(1) }),
      examples: [],
      create(_config, context) {
        contexts.push(context)
        return {
          start() {
            toy.pushTo(context, span(`early ${contexts.length}`))
            start()
          },
        }
      },
    })
    return { definition, contexts }
  }
  const both = ['toy', 'eager']

  test('that is new may push before all is joined', async () => {
    toy = await toyGraph({ exporters: { sink: {} } })
    const { definition } = eager(() => {})
    await toy.reload({
      exporters: { 'sink/new': {} },
      components: { eager: { definition } },
      pipelines: [{ id: 'traces/new', receivers: both, exporters: ['sink/new'] }],
    })
    await expect.poll(() => toy.sinks['sink/new'].all).toEqual(['early 1'])
    expect(await kindOf('a')).toBe('success')
    await expect.poll(() => toy.sinks['sink/new'].all).toEqual(['early 1', 'a'])
    expect(toy.sinks['sink'].all).toEqual([])
  })

  test('that cannot start leaves everything as it was; what it took in is refused', async () => {
    toy = await toyGraph({ exporters: { sink: {} } })
    const { definition } = eager(() => {
      throw new Error('port in use')
    })
    const parts = {
      exporters: { sink: {} },
      components: { eager: { definition } },
      pipelines: [{ receivers: both, exporters: ['sink'] }],
    }
    await expect(toy.reload(parts)).rejects.toThrow('failed to start receiver eager: port in use')
    expect(await kindOf('a')).toBe('success')
    await expect.poll(() => toy.sinks['sink'].all).toEqual(['a'])
    expect(node('eager')).toMatchObject({ in: 0, retired: true })
    expect(node('eager')?.refused.total).toBe(1)
  })

  test('that changed goes on where the one before was, which may still hand on what it has', async () => {
    const { definition, contexts } = eager(() => {})
    const parts = (x: number) => ({
      exporters: { sink: {} },
      components: { eager: { definition, config: { x } } },
      pipelines: [{ receivers: ['eager'], exporters: ['sink'] }],
    })
    // The toy is there once it runs.
    toy = await toyGraph({ exporters: { sink: {} } })
    await toy.reload(parts(1))
    const { over } = await toy.reload(parts(2))
    expect((await toy.pushTo(contexts[0], span('late')).outcome).kind).toBe('success')
    await over
    await expect.poll(() => toy.sinks['sink'].all).toEqual(['early 1', 'early 2', 'late'])
    expect(node('eager')).toMatchObject({ in: 3, out: 3 })
  })
})

test('a pipeline comes and goes; data of the others is not touched', async () => {
  const one = { exporters: { 'sink/a': {} }, pipelines: [{ id: 'traces/a', exporters: ['sink/a'] }] }
  const two = {
    exporters: { 'sink/a': {}, 'sink/b': {} },
    components: { batch: gathering('1ms') },
    pipelines: [
      { id: 'traces/a', exporters: ['sink/a'] },
      { id: 'traces/b', processors: ['batch'], exporters: ['sink/b'] },
    ],
  }
  toy = await toyGraph(one)
  expect(await kindOf('1')).toBe('success')
  await toy.reload(two)
  expect(await kindOf('2')).toBe('success')
  await (
    await toy.reload(one)
  ).over
  expect(await kindOf('3')).toBe('success')
  await expect.poll(() => toy.sinks['sink/a'].all).toEqual(['1', '2', '3'])
  expect(toy.sinks['sink/b'].all).toEqual(['2'])
  await (
    await toy.reload(two)
  ).over
  expect(await kindOf('4')).toBe('success')
  await expect.poll(() => toy.sinks['sink/b'].all).toEqual(['4'])
  expect(toy.books.nodes.filter(({ retired }) => retired)).toEqual([])
})

test('a stop does not wait longer than its own deadline for what still leaves', async () => {
  toy = await toyGraph({ exporters: { 'sink/old': few } })
  hang(toy.sinks['sink/old'])
  toy.push(tracesRequest([{ spans: names('s', 3) }]))
  await toy.reload({ exporters: { 'sink/new': {} } }, 60_000)
  const began = performance.now()
  expect(await toy.graph.stop(100)).toEqual({ lost: 3 })
  expect(performance.now() - began).toBeLessThan(1000)
  await expect(toy.reload({ exporters: { 'sink/new': few } })).rejects.toThrow('stopping')
})

test('how many items wait for a destination is told, before its exporter is taken away', async () => {
  toy = await toyGraph({ exporters: { sink: {}, other: {} } })
  const release = hang(toy.sinks['sink'])
  await toy.push(tracesRequest([{ spans: names('a', 3) }])).outcome
  await toy.push(span('b')).outcome
  await expect.poll(() => toy.sinks['other'].all).toHaveLength(4)
  expect([toy.graph.waiting('sink'), toy.graph.waiting('other'), toy.graph.waiting('none')]).toEqual([4, 0, 0])
  release()
  await expect.poll(() => toy.graph.waiting('sink')).toBe(0)
})
