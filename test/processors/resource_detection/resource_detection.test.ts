import { arch, hostname } from 'node:os'
import { Subject } from 'rxjs'
import { afterEach, expect, test, vi } from 'vitest'
import type { Batch } from '../../../core/batch.ts'
import { Status } from '../../../core/status.ts'
import type { Detector } from '../../../processors/resource_detection/detector.ts'
import { detecting, resourceDetection } from '../../../processors/resource_detection/resource_detection.ts'
import { encodeGroups } from '../../../proto/group.ts'
import { spans } from '../../support/batches.ts'
import { MovableClock } from '../../support/clock.ts'
import { encode, flatten } from '../../support/otlp.ts'
import { attributesOf, processOne, withAttributes } from '../../support/processing.ts'
import { processorContext } from '../../support/contexts.ts'

afterEach(() => {
  vi.unstubAllEnvs()
})

const body = encode('ExportTraceServiceRequest', {
  resource_spans: [
    {
      resource: { attributes: withAttributes({ 'host.name': 'own', a: 1 }) },
      scope_spans: [{ spans: [{ name: 'x' }] }],
    },
    { scope_spans: [{ spans: [{ name: 'y' }] }] },
  ],
})
const resources = async (config: object) =>
  (await processOne(resourceDetection, config, 'traces', body)).items.map(({ resource }) => attributesOf(resource))

const system = { hostname_sources: ['os'] }

test('what the detectors find is added to every resource, in place of what was there', async () => {
  vi.stubEnv('OTEL_RESOURCE_ATTRIBUTES', 'service.namespace=shop, note=a%2Cb+c ')
  const found = {
    'service.namespace': 'shop',
    note: 'a,b c',
    'host.name': hostname(),
    'os.type': process.platform,
  }
  expect(await resources({ detectors: ['env', 'system'], system })).toEqual([{ ...found, a: '1' }, found])
})

test('without `override` what was there stays', async () => {
  const [own, other] = await resources({ detectors: ['system'], override: false, system })
  expect([own['host.name'], other['host.name']]).toEqual(['own', hostname()])
})

test('of two detectors that know the same the first one wins', async () => {
  vi.stubEnv('OTEL_RESOURCE_ATTRIBUTES', 'host.name=env')
  const [, first] = await resources({ detectors: ['env', 'system'], system })
  const [, second] = await resources({ detectors: ['system', 'env'], system })
  expect([first['host.name'], second['host.name']]).toEqual(['env', hostname()])
})

test('single attributes are switched on and off, and filtered by name', async () => {
  const switches = { 'host.name': { enabled: false }, 'host.arch': { enabled: true } }
  const [, found] = await resources({ detectors: ['system'], system: { ...system, resource_attributes: switches } })
  expect(Object.keys(found)).toEqual(['os.type', 'host.arch'])
  expect(['amd64', 'arm64', arch()]).toContain(found['host.arch'])
  const [, filtered] = await resources({ detectors: ['system'], system, attributes: ['os.type'] })
  expect(Object.keys(filtered)).toEqual(['os.type'])
})

test('the allowlist says what is taken from the environment', async () => {
  vi.stubEnv('OTEL_RESOURCE_ATTRIBUTES', 'a=1,b=2,')
  const [, found] = await resources({ detectors: 'env', env: { allowlist: ['b'] } })
  expect(found).toEqual({ b: '2' })
})

test('a node knows its name from the environment, and says why it does not know more', async () => {
  vi.stubEnv('NODE', 'worker-1')
  vi.stubEnv('KUBERNETES_SERVICE_HOST', undefined)
  const config = { detectors: ['k8snode'], k8snode: { node_from_env_var: 'NODE' } }
  expect((await resources(config))[1]).toEqual({ 'k8s.node.name': 'worker-1' })
})

/** A step with detectors under a test's control. */
function running(
  detectors: Detector[],
  more: { override?: boolean; timeout?: number; refresh_interval?: number } = {},
) {
  const status = new Status()
  status.set('Starting')
  status.set('OK')
  const clock = new MovableClock()
  const { context, holding } = processorContext({ id: 'resource_detection', status, clock })
  const source = new Subject<Batch>()
  const out: Record<string, unknown>[] = []
  const settings = { override: true, timeout: 10_000, refresh_interval: 0, attributes: [], ...more }
  const subscription = detecting(
    settings,
    detectors,
    context,
  )(source).subscribe(batch => {
    out.push(...flatten('traces', encodeGroups(batch.groups)).map(({ resource }) => attributesOf(resource)))
  })
  return { source, out, status, held: () => holding.items, subscription, clock }
}

const finds = (name: string, value: string): Detector => ({
  name,
  detect: () => ({ attributes: new Map([[name, value]]), problem: undefined }),
})

test('data waits for detectors that take their time, in order, and is counted', async () => {
  let answer: (value: string) => void = () => {}
  const slow: Detector = {
    name: 'slow',
    detect: async () => ({
      attributes: new Map([['slow', await new Promise<string>(resolve => (answer = resolve))]]),
      problem: undefined,
    }),
  }
  const { source, out, held, subscription, status, clock } = running([finds('quick', '1'), slow])
  source.next(spans(['a', 'b']))
  source.next(spans(['c']))
  await clock.advance(0)
  expect([out, held()]).toEqual([[], 3])
  answer('2')
  await clock.advance(0)
  source.next(spans(['d']))
  expect(out).toEqual(Array.from({ length: 4 }, () => ({ quick: '1', slow: '2' })))
  expect([held(), status.state]).toEqual([0, 'OK'])
  subscription.unsubscribe()
})

test('it does not wait for ever: what is not known by then is told by the status, and used once it is', async () => {
  let attempts = 0
  const late: Detector = {
    name: 'late',
    detect: async abort => {
      attempts++
      if (attempts > 1) return { attributes: new Map([['late', 'x']]), problem: undefined }
      return new Promise((_resolve, reject) => abort.addEventListener('abort', () => reject(new Error('stopped'))))
    },
  }
  const { source, out, status, subscription, clock } = running([finds('quick', '1'), late], { timeout: 50 })
  source.next(spans(['a']))
  await clock.advance(60)
  expect(out).toEqual([{ quick: '1' }])
  expect([status.state, status.lastError]).toEqual(['RecoverableError', 'late: no answer within 50ms'])
  await clock.advance(1000)
  source.next(spans(['b']))
  expect(out[1]).toEqual({ quick: '1', late: 'x' })
  expect(status.state).toBe('OK')
  subscription.unsubscribe()
})

test('a detector that fails is asked again, at growing intervals, and holds nothing up', async () => {
  let attempts = 0
  const failing: Detector = {
    name: 'failing',
    detect: () => {
      attempts++
      throw new Error('not here')
    },
  }
  const { source, out, status, subscription, clock } = running([failing])
  source.next(spans(['a']))
  expect(out).toEqual([{}])
  await clock.advance(0)
  expect(status.lastError).toBe('failing: not here')
  await clock.advance(10_000)
  expect(attempts).toBe(4)
  subscription.unsubscribe()
  await clock.advance(100_000)
  expect(attempts).toBe(4)
})

test('with `refresh_interval` it finds out what changed', async () => {
  let n = 0
  const counting: Detector = {
    name: 'n',
    detect: () => ({ attributes: new Map([['n', String(n++)]]), problem: undefined }),
  }
  const { source, out, subscription, clock } = running([counting], { refresh_interval: 1000 })
  source.next(spans(['a']))
  await clock.advance(2500)
  source.next(spans(['b']))
  expect(out).toEqual([{ n: '0' }, { n: '2' }])
  subscription.unsubscribe()
})

test('when its input ends it hands on what waits, with what is known', () => {
  const never: Detector = { name: 'never', detect: () => new Promise(() => {}) }
  const { source, out, held } = running([finds('quick', '1'), never])
  source.next(spans(['a']))
  source.complete()
  expect([out, held()]).toEqual([[{ quick: '1' }], 0])
})

test.each<[string, object, string]>([
  ['a detector this build has not', { detectors: ['env', 'ec2'] }, 'detectors.1'],
  [
    'an attribute the detector does not know',
    { system: { resource_attributes: { 'host.colour': { enabled: true } } } },
    'system.resource_attributes.host.colour',
  ],
  ['an unknown source of the name', { system: { hostname_sources: ['dns', 'ldap'] } }, 'system.hostname_sources.1'],
  ['no time at all', { timeout: '0s' }, 'timeout'],
  ['kubeConfig', { k8snode: { auth_type: 'kubeConfig' } }, 'k8snode.auth_type'],
])('%s is an error at its place', (_name, config, path) => {
  const result = resourceDetection.config.safeParse(config)
  expect(result.error?.issues.map(issue => issue.path.join('.'))).toEqual([path])
})
