/** What a source hears that can read its data again: when that is settled for good, and how. */
import { expect, test } from 'vitest'
import * as z from 'zod'
import { defineProcessor, type Definition } from '../../../core/component.ts'
import { DeliveryError } from '../../../core/errors.ts'
import { each, holding } from '../../../processors/steps.ts'
import { type Behaviour, toyGraph, type ToyGraph } from '../../support/graph.ts'
import { tracesRequest } from '../../support/otlp-bytes.ts'
import { diskOf, MemoryStorage } from '../../support/storage.ts'

const body = tracesRequest([{ spans: ['a', 'b', 'c'] }])
const fail =
  (kind: DeliveryError['kind'], code: DeliveryError['code'] = 'DELIVERY_REJECTED'): Behaviour =>
  () =>
    Promise.reject(new DeliveryError(code, kind, 'no'))
const never: Behaviour = () => new Promise(() => {})
const inPart: Behaviour = () => Promise.resolve({ rejected: 1, message: 'too old' })
const memory = { sending_queue: {} }
const none = { sending_queue: { enabled: false } }
const once = { retry_on_failure: { enabled: false } }

const well = { again: false, rejected: 0, lost: 0, reason: undefined }
const again = expect.objectContaining({ again: true }) as object

interface Running {
  readonly toy: ToyGraph
  readonly storage: MemoryStorage
}

async function running(exporters: Record<string, object>, behave?: Behaviour, more = {}): Promise<Running> {
  const storage = new MemoryStorage()
  const disk = diskOf(storage)
  const toy = await toyGraph({ exporters, ...more, components: { disk: { definition: disk }, ...componentsOf(more) } })
  if (behave !== undefined) toy.sinks['sink'].behave = behave
  return { toy, storage }
}
const componentsOf = (more: object) => ('components' in more ? (more.components as object) : {})

test.each<[what: string, config: object, behave: Behaviour | undefined, answered: string, ended: object]>([
  ['memory: taken by the destination', memory, undefined, 'success', well],
  ['memory: rejected', memory, fail('rejected'), 'success', { ...well, rejected: 3, reason: 'no' }],
  ['memory: rejected in part', memory, inPart, 'success', { ...well, rejected: 1, reason: 'too old' }],
  [
    'memory: not tried again',
    { ...memory, ...once },
    fail('retry'),
    'success',
    { ...well, lost: 3, reason: 'not_retried' },
  ],
  ['no queue: taken', none, undefined, 'success', well],
  ['no queue: rejected', none, fail('rejected'), 'rejected', { ...well, rejected: 3, reason: 'no' }],
  ['no queue: rejected in part', none, inPart, 'partial', { ...well, rejected: 1, reason: 'too old' }],
  ['no queue: the destination is busy', { ...none, ...once }, fail('retry', 'DELIVERY_BUSY'), 'refused', again],
  ['no queue: denied is no reason to skip', none, fail('denied', 'DELIVERY_DENIED'), 'refused', again],
])('%s', async (_, config, behave, answered, ended) => {
  const { toy } = await running({ sink: config }, behave)
  const pushed = toy.push(body)
  expect((await pushed.outcome).kind).toBe(answered)
  expect(await pushed.ended).toEqual(ended)
  await toy.graph.stop(100)
  expect(toy.books.faults()).toEqual([])
})

test('a dead letter is settled once the grave has it', async () => {
  const { toy } = await running({ sink: { sending_queue: { storage: 'disk' } } }, fail('rejected'))
  expect(await toy.push(body).ended).toEqual(well)
})

test.each<[what: string, exporters: Record<string, object>, ended: object]>([
  [
    'what a full queue drops',
    { sink: { sending_queue: { queue_size: 1, num_consumers: 1, when_full: 'drop' } } },
    { ...well, lost: 3, reason: 'queue_full' },
  ],
  [
    'what a full queue refuses',
    { sink: { sending_queue: { queue_size: 1, num_consumers: 1, when_full: 'refuse' } } },
    again,
  ],
])('%s', async (_, exporters, ended) => {
  const { toy } = await running(exporters, never)
  void toy.push(body)
  expect(await toy.push(body).ended).toEqual(ended)
  await toy.graph.stop(0)
})

test('what a stop leaves undone in memory is to be read again', async () => {
  const { toy } = await running({ sink: memory }, never)
  const pushed = toy.push(body)
  expect((await pushed.outcome).kind).toBe('success')
  await toy.graph.stop(0)
  expect(await pushed.ended).toEqual(again)
})

test('over branches the worst wins', async () => {
  const { toy } = await running({ sink: memory, other: memory })
  toy.sinks['other'].behave = fail('rejected')
  expect(await toy.push(body).ended).toEqual({ ...well, rejected: 3, reason: 'no' })
  toy.sinks['sink'].behave = never
  const pushed = toy.push(body)
  await pushed.outcome
  await toy.graph.stop(0)
  expect(await pushed.ended).toEqual(again)
})

const toyStep = (create: Extract<Definition, { kind: 'processor' }>['create'], hold: 'none' | 'state'): Definition =>
  defineProcessor({
    type: 'step',
    stability: 'stable',
    summary: 'Does what a test says.',
    signals: ['traces'],
    hold,
    config: z.strictObject({}),
    examples: [],
    create,
  })

test.each<[what: string, definition: Definition, answered: string, ended: object]>([
  [
    'what a rule drops is settled',
    toyStep((_, context) => {
      const reason = context.reason('rule', 'rule')
      return each(context, batch => ({ passes: undefined, ends: [{ batch, reason }] }))
    }, 'none'),
    'success',
    well,
  ],
  [
    'what a step gives up is told as lost',
    toyStep((_, context) => {
      const reason = context.reason('evicted', 'lost')
      return each(context, batch => ({ passes: undefined, ends: [{ batch, reason }] }))
    }, 'none'),
    'success',
    { ...well, lost: 3, reason: 'evicted' },
  ],
  [
    'what is rejected as malformed is told as rejected',
    toyStep((_, context) => {
      const reason = context.reason('malformed', 'rejected')
      return each(context, batch => ({ passes: undefined, ends: [{ batch, reason }] }))
    }, 'none'),
    'rejected',
    { ...well, rejected: 3, reason: 'step: malformed' },
  ],
  [
    'what a step fails on is to be read again',
    toyStep(
      (_, context) =>
        each(context, () => {
          throw new Error('fails')
        }),
      'none',
    ),
    'refused',
    again,
  ],
  [
    'what a step has taken custody of and does not hand on before it stops is to be read again',
    toyStep((_, context) => holding(context, { take() {}, flush() {} }), 'state'),
    'success',
    again,
  ],
])('%s', async (_, definition, answered, ended) => {
  const { toy } = await running({ sink: memory }, undefined, {
    pipelines: [{ processors: ['step'], exporters: ['sink'] }],
    components: { step: { definition } },
  })
  const pushed = toy.push(body)
  expect((await pushed.outcome).kind).toBe(answered)
  await toy.graph.stop(100)
  expect(await pushed.ended).toEqual(ended)
  expect(toy.books.faults()).toEqual([])
})
