import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo } from 'node:net'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { dockerDetector } from '../../../processors/resource_detection/docker.ts'
import { envDetector } from '../../../processors/resource_detection/env.ts'
import { fullNameIn, hostName } from '../../../processors/resource_detection/host-name.ts'
import { k8sNodeDetector } from '../../../processors/resource_detection/k8s-node.ts'
import { systemAttributes, systemDetector } from '../../../processors/resource_detection/system.ts'
import { authority, serverCert, serverKey } from '../../net/certificates.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

const abort = () => AbortSignal.timeout(2000)

/** A Docker daemon with one container: this process. */
const daemon: RequestListener = (request, response) => {
  const answers: Record<string, object> = {
    '/info': { OSType: 'linux', Name: 'docker-host' },
    [`/containers/${hostname()}/json`]: { Name: '/shop-1', Config: { Image: 'shop:1.2' } },
  }
  const answer = answers[request.url ?? '']
  response.statusCode = answer === undefined ? 404 : 200
  response.end(JSON.stringify(answer ?? {}))
}

async function listen(listener: RequestListener, at: string | number): Promise<number> {
  const server = createServer(listener)
  await new Promise<void>(resolve => server.listen(at, resolve))
  closing.push(() => new Promise(resolve => server.close(resolve)))
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'kymo-'))
  closing.push(() => rm(path, { recursive: true }))
  return path
}

test('docker says the name of the host, over a socket and over TCP', async () => {
  const socket = join(await folder(), 'docker.sock')
  await listen(daemon, socket)
  const port = await listen(daemon, 0)
  for (const DOCKER_HOST of [`unix://${socket}`, `tcp://127.0.0.1:${port}`]) {
    const { attributes } = await dockerDetector({}, { DOCKER_HOST }).detect(abort())
    expect(Object.fromEntries(attributes)).toEqual({ 'os.type': 'linux', 'host.name': 'docker-host' })
  }
})

test('docker knows the container when asked for it', async () => {
  const port = await listen(daemon, 0)
  const switches = {
    'host.name': { enabled: false },
    'os.type': { enabled: false },
    'container.name': { enabled: true },
    'container.image.name': { enabled: true },
  }
  const { attributes } = await dockerDetector(switches, { DOCKER_HOST: `tcp://127.0.0.1:${port}` }).detect(abort())
  expect(Object.fromEntries(attributes)).toEqual({ 'container.name': 'shop-1', 'container.image.name': 'shop:1.2' })
})

test('outside of a container the rest is found, and the problem told', async () => {
  const port = await listen((request, response) => {
    if (request.url === '/info') daemon(request, response)
    else response.writeHead(404).end()
  }, 0)
  const env = { DOCKER_HOST: `tcp://127.0.0.1:${port}` }
  const found = await dockerDetector({ 'container.name': { enabled: true } }, env).detect(abort())
  expect(found.attributes.size).toBe(2)
  expect(found.problem).toBe(`container ${hostname()}: it answered 404`)
})

test.each<[string, RequestListener]>([
  ['that refuses', (_request, response) => response.writeHead(500).end()],
  ['that answers no JSON', (_request, response) => response.end('hello')],
  ['that answers something else', (_request, response) => response.end('{"Name": 5}')],
  ['that hangs up', (_request, response) => response.destroy()],
])('a daemon %s is an error', async (_name, listener) => {
  const port = await listen(listener, 0)
  await expect(dockerDetector({}, { DOCKER_HOST: `tcp://127.0.0.1:${port}` }).detect(abort())).rejects.toThrow()
})

test('a daemon that is not there, or somewhere it cannot be, is an error', async () => {
  const socket = join(await folder(), 'none.sock')
  await expect(dockerDetector({}, { DOCKER_HOST: `unix://${socket}` }).detect(abort())).rejects.toThrow('ENOENT')
  await expect(dockerDetector({}, { DOCKER_HOST: 'ssh://host' }).detect(abort())).rejects.toThrow('DOCKER_HOST')
})

test('the uid of the node comes from the API server, as the pod’s service account', async () => {
  const account = await folder()
  await writeFile(join(account, 'token'), 'secret\n')
  await writeFile(join(account, 'ca.crt'), authority)
  const asked: unknown[] = []
  const api = createTlsServer({ key: serverKey, cert: serverCert }, (request, response) => {
    asked.push([request.url, request.headers.authorization])
    response.end(JSON.stringify({ metadata: { uid: 'u-1', name: 'n 1' } }))
  })
  await new Promise<void>(resolve => api.listen(0, '127.0.0.1', resolve))
  closing.push(() => new Promise(resolve => api.close(resolve)))
  const env = {
    NODE: 'n 1',
    KUBERNETES_SERVICE_HOST: '127.0.0.1',
    KUBERNETES_SERVICE_PORT: String((api.address() as AddressInfo).port),
  }
  const found = await k8sNodeDetector({}, 'NODE', env, account).detect(abort())
  expect(found.problem).toBeUndefined()
  expect(Object.fromEntries(found.attributes)).toEqual({ 'k8s.node.name': 'n 1', 'k8s.node.uid': 'u-1' })
  expect(asked).toEqual([['/api/v1/nodes/n%201', 'Bearer secret']])
})

test('without the name of the node there is nothing to find', async () => {
  await expect(k8sNodeDetector({}, 'NODE', {}).detect(abort())).rejects.toThrow('`NODE` is not set')
})

test('outside of a cluster the node has no uid', async () => {
  const found = await k8sNodeDetector({}, 'NODE', { NODE: 'n' }).detect(abort())
  expect(found.problem).toContain('KUBERNETES_SERVICE_HOST')
  expect([...found.attributes]).toEqual([['k8s.node.name', 'n']])
})

test.each<[string, Record<string, string>]>([
  ['', {}],
  ['a=b', { a: 'b' }],
  [' a = b , c=d=e, f=', { a: 'b', c: 'd=e', f: '' }],
  ['a=%E2%9C%93', { a: '✓' }],
])('OTEL_RESOURCE_ATTRIBUTES `%s`', (written, expected) => {
  const found = envDetector(undefined, { OTEL_RESOURCE_ATTRIBUTES: written }).detect(abort())
  expect('attributes' in found && Object.fromEntries(found.attributes)).toEqual(expected)
})

test.each(['a', 'a=b,c', '=b', 'a=%zz'])('OTEL_RESOURCE_ATTRIBUTES `%s` is an error', written => {
  const detector = envDetector(undefined, { OTEL_RESOURCE_ATTRIBUTES: written })
  expect(() => detector.detect(abort())).toThrow('OTEL_RESOURCE_ATTRIBUTES')
})

test('everything the system detector knows is found, or said not to be here', async () => {
  const switches = Object.fromEntries(systemAttributes.map(name => [name, { enabled: true }]))
  const { attributes, problem = '' } = await systemDetector(switches, ['os']).detect(abort())
  for (const name of systemAttributes)
    expect([name, attributes.has(name) || problem.includes(name)]).toEqual([name, true])
  expect(attributes.get('host.name')).toBe(hostname())
})

test.each([
  ['127.0.0.1 localhost\n10.0.0.5 web.example.com web # here', 'web', 'web.example.com'],
  ['10.0.0.5 web.example.com. web', 'web', 'web.example.com'],
  ['10.0.0.5 web', 'web', undefined],
  ['# 10.0.0.5 web.example.com web', 'web', undefined],
  ['', 'web', undefined],
])('the full name in %j', (hosts, short, expected) => {
  expect(fullNameIn(hosts, short)).toBe(expected)
})

test('the next source is asked when one does not know, until the time is up', async () => {
  expect(await hostName(['os'], abort())).toBe(hostname())
  const over = AbortSignal.abort(new Error('over'))
  await expect(hostName(['cname'], over)).rejects.toThrow()
})
