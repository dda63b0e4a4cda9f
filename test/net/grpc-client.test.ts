import { rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { once } from 'node:events'
import http2 from 'node:http2'
import net, { type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as grpc from '@grpc/grpc-js'
import { expect, test } from 'vitest'
import { GrpcCode } from '../../proto/status.ts'
import { client, failed, frame, kept, path } from '../support/grpc-client-runs.ts'
import { answer, bareHttp2, grpcJs } from '../support/grpc-peer.ts'
import { authority, serverCert, serverKey } from './certificates.ts'

test('a server that is away fails calls at once, and is found when it comes', async () => {
  const away = kept(await grpcJs((_call, done) => done(null, Buffer.alloc(0))))
  await away.stop()
  const made = client(away.endpoint)
  for (let i = 0; i < 3; i++) {
    const error = await failed(made.call(path, frame, { timeout: 5000 }))
    expect(error).toMatchObject({ code: GrpcCode.UNAVAILABLE, sent: false, answered: 'no' })
    expect(error.message).toContain('ECONNREFUSED')
  }
  kept(await grpcJs((_call, done) => done(null, Buffer.from('back')), { port: away.port }))
  await expect.poll(() => made.call(path, frame).then(String, () => ''), { interval: 5 }).toBe('back')
})

test('with wait_for_ready calls wait for the server until their deadline', async () => {
  const away = kept(await grpcJs((_call, done) => done(null, Buffer.alloc(0))))
  await away.stop()
  const made = client(away.endpoint, { waitForReady: true })
  const error = await failed(made.call(path, frame, { timeout: 30 }))
  expect(error).toMatchObject({ code: GrpcCode.DEADLINE_EXCEEDED, sent: false })
  const waiting = made.call(path, frame, { timeout: 5000 })
  kept(await grpcJs((_call, done) => done(null, Buffer.from('back')), { port: away.port }))
  expect(String(await waiting)).toBe('back')
})

test('a name without an address is UNAVAILABLE, and is looked up again', async () => {
  const server = kept(await grpcJs((_call, done) => done(null, Buffer.from('found'))))
  let known = false
  const resolve = () =>
    known ? Promise.resolve([{ host: '127.0.0.1', port: server.port }]) : Promise.reject(new Error('ENOTFOUND gateway'))
  const made = client('gateway:4317', { resolve })
  const error = await failed(made.call(path, frame))
  expect(error).toMatchObject({ code: GrpcCode.UNAVAILABLE, message: 'ENOTFOUND gateway', sent: false })
  known = true
  await expect.poll(() => made.call(path, frame).then(String, () => ''), { interval: 5 }).toBe('found')
})

test('calls go to all addresses in turn, and to those that are left', async () => {
  const counts = [0, 0]
  const servers = await Promise.all(
    counts.map((_, i) =>
      grpcJs((_call, done) => {
        counts[i]++
        done(null, Buffer.alloc(0))
      }),
    ),
  )
  servers.forEach(kept)
  let addresses = servers.map(({ port }) => ({ host: '127.0.0.1', port }))
  const made = client('gateway:4317', { resolve: () => Promise.resolve(addresses) })
  await expect
    .poll(async () => {
      await made.call(path, frame)
      return counts.every(count => count > 0)
    })
    .toBe(true)
  counts.fill(0)
  for (let i = 0; i < 20; i++) await made.call(path, frame)
  expect(counts).toEqual([10, 10])
  addresses = addresses.slice(1)
  await servers[0].stop()
  counts.fill(0)
  // A call that was on its way may fail; what follows does not.
  await made.call(path, frame).catch(() => {})
  for (let i = 0; i < 10; i++) await made.call(path, frame)
  expect(counts[0]).toBe(0)
  expect(counts[1]).toBeGreaterThanOrEqual(10)
})

test('pick_first stays with the first address that works', async () => {
  const counts = [0, 0]
  const servers = await Promise.all(
    counts.map((_, i) =>
      grpcJs((_call, done) => {
        counts[i]++
        done(null, Buffer.alloc(0))
      }),
    ),
  )
  servers.forEach(kept)
  const away = kept(await grpcJs(() => {}))
  await away.stop()
  const addresses = [away.port, servers[0].port, servers[1].port].map(port => ({ host: '127.0.0.1', port }))
  const made = client('gateway:4317', { resolve: () => Promise.resolve(addresses), balancer: 'pick_first' })
  for (let i = 0; i < 5; i++) await made.call(path, frame)
  expect(counts).toEqual([5, 0])
})

test('no call fails over a server that ends its connections all the time', async () => {
  let served = 0
  const server = kept(
    await bareHttp2(stream => {
      answer(stream)
      // Once gently and once as grpc-go does it: first with the highest id, then with the last one served.
      if (++served % 10 === 0) stream.session?.close()
      else if (served % 10 === 5) {
        const { session } = stream
        session?.goaway(0, 2 ** 31 - 1)
        setImmediate(() => session?.close())
      }
    }),
  )
  const made = client(server.endpoint)
  const failures: unknown[] = []
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      for (let i = 0; i < 100; i++) await made.call(path, frame, { timeout: 5000 }).catch(error => failures.push(error))
    }),
  )
  expect(failures).toEqual([])
  expect(served).toBeGreaterThanOrEqual(1000)
})

test('a call waits for the next connection where the last one ended in peace before it was used', async () => {
  const unused = Promise.withResolvers<void>()
  let sessions = 0
  const server = kept(
    await bareHttp2(
      stream => {
        answer(stream)
        if (sessions === 1) stream.session?.close()
      },
      {
        onSession(session) {
          if (++sessions !== 2) return
          session.once('localSettings', () => session.close())
          session.once('close', unused.resolve)
        },
      },
    ),
  )
  const made = client(server.endpoint, { backoff: { initial: 100, max: 100, multiplier: 1, jitter: 0 } })
  await made.call(path, frame)
  await unused.promise
  await made.call(path, frame)
  expect(sessions).toBe(3)
})

test('streams above the last one of a GOAWAY with an error are sent again on another connection', async () => {
  const bodies: string[] = []
  let sessions = 0
  const server = kept(
    await bareHttp2(
      stream => {
        if (sessions > 1) {
          bodies.push('second')
          answer(stream)
        } else if (stream.id === 5) stream.session?.goaway(http2.constants.NGHTTP2_INTERNAL_ERROR, 3)
        else if (stream.id === 1) answer(stream)
        // Stream 3 is looked at and never answered.
      },
      { onSession: () => sessions++ },
    ),
  )
  const made = client(server.endpoint)
  await made.call(path, frame)
  const [third, fifth] = await Promise.allSettled([made.call(path, frame), made.call(path, frame)])
  expect(fifth.status).toBe('fulfilled')
  expect(third).toMatchObject({ status: 'rejected', reason: { code: GrpcCode.UNAVAILABLE, sent: true } })
  expect(bodies).toEqual(['second'])
})

test('a connection that breaks under a call fails it as UNAVAILABLE, perhaps taken', async () => {
  const server = kept(await bareHttp2(stream => stream.session?.socket.destroy()))
  const error = await failed(client(server.endpoint).call(path, frame))
  expect(error).toMatchObject({ code: GrpcCode.UNAVAILABLE, sent: true, answered: 'no' })
})

test('after a restart of the server calls succeed again, without delay for one that was in use', async () => {
  const handler: Parameters<typeof grpcJs>[0] = (_call, done) => done(null, Buffer.alloc(0))
  const first = kept(await grpcJs(handler))
  const made = client(first.endpoint, { backoff: { initial: 60_000, max: 60_000, multiplier: 1, jitter: 0 } })
  await made.call(path, frame)
  const again = async () => {
    await first.stop()
    return grpcJs(handler, { port: first.port })
  }
  kept(await again())
  await made.call(path, frame).catch(() => {})
  await made.call(path, frame, { timeout: 1000 })
})

test('no more streams are opened than the server allows', async () => {
  let now = 0
  let most = 0
  const server = kept(
    await bareHttp2(
      stream => {
        most = Math.max(most, ++now)
        stream.on('close', () => now--)
        setTimeout(() => answer(stream), 2)
      },
      { settings: { maxConcurrentStreams: 3 } },
    ),
  )
  const made = client(server.endpoint)
  await Promise.all(Array.from({ length: 30 }, () => made.call(path, frame, { timeout: 5000 })))
  expect(most).toBe(3)
})

test('a call that waits for room can be given up', async () => {
  const server = kept(await bareHttp2(() => {}, { settings: { maxConcurrentStreams: 1 } }))
  const made = client(server.endpoint)
  const calls = [made.call(path, frame, { timeout: 40 }), made.call(path, frame, { timeout: 20 })]
  const [first, second] = await Promise.all(calls.map(failed))
  expect(first).toMatchObject({ code: GrpcCode.DEADLINE_EXCEEDED, sent: true })
  expect(second).toMatchObject({ code: GrpcCode.DEADLINE_EXCEEDED, sent: false })
})

test('pings keep an idle connection watched, and a silent one is replaced', async () => {
  let pings = 0
  const server = kept(
    await bareHttp2(stream => answer(stream), { onSession: session => session.on('ping', () => pings++) }),
  )
  // A man in the middle who stops to pass anything on.
  let dead = false
  let connections = 0
  const proxy = net.createServer(socket => {
    connections++
    const onward = net.connect(server.port, '127.0.0.1')
    for (const end of [socket, onward]) end.setNoDelay().on('error', () => {})
    const mine = connections
    socket.on('data', data => (dead && mine === 1 ? undefined : onward.write(data)))
    onward.on('data', data => socket.write(data))
    socket.on('close', () => onward.destroy())
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const { port } = proxy.address() as AddressInfo
  kept({ stop: () => proxy.close() })
  const made = client(`127.0.0.1:${port}`, { keepalive: { time: 5, timeout: 150, permit_without_stream: true } })
  await made.call(path, frame)
  await expect.poll(() => pings, { interval: 5 }).toBeGreaterThan(2)
  expect(connections).toBe(1)
  dead = true
  const error = await failed(made.call(path, frame, { timeout: 5000 }))
  expect(error).toMatchObject({ code: GrpcCode.UNAVAILABLE, sent: true })
  expect(error.message).toContain('ping')
  await made.call(path, frame, { timeout: 5000 })
  expect(connections).toBe(2)
})

test('without permit_without_stream an idle connection is left in peace', async () => {
  let pings = 0
  const server = kept(
    await bareHttp2(stream => answer(stream), { onSession: session => session.on('ping', () => pings++) }),
  )
  const made = client(server.endpoint, { keepalive: { time: 2, timeout: 30, permit_without_stream: false } })
  await made.call(path, frame)
  const while20ms = () => new Promise(resolve => setTimeout(resolve, 20))
  // One that left while the call was open may still be on its way.
  await while20ms()
  pings = 0
  await while20ms()
  expect(pings).toBe(0)
})

test('a server that is not HTTP/2 is told of', async () => {
  const server = createServer((_request, response) => response.end())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  kept({ stop: () => server.close() })
  const { port } = server.address() as AddressInfo
  const error = await failed(client(`127.0.0.1:${port}`).call(path, frame, { timeout: 5000 }))
  expect(error).toMatchObject({ code: GrpcCode.UNAVAILABLE, sent: false })
  expect(error.message).toMatch(/does not speak HTTP\/2|closed the connection before/)
})

test('a server that accepts and says nothing is given up', async () => {
  const server = net.createServer(() => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  kept({ stop: () => server.close() })
  const { port } = server.address() as AddressInfo
  const made = client(`127.0.0.1:${port}`, { connectTimeout: 30 })
  expect((await failed(made.call(path, frame))).message).toContain('no connection within 30ms')
})

test('certificates that cannot be read yet are read again', async () => {
  const credentials = grpc.ServerCredentials.createSsl(null, [
    { cert_chain: Buffer.from(serverCert), private_key: Buffer.from(serverKey) },
  ])
  const server = kept(await grpcJs((_call, done) => done(null, Buffer.from('safe')), { credentials }))
  let there = false
  const tls = () => {
    if (there) return { ca: authority }
    throw new Error('cannot read `ca_file`')
  }
  const made = client(server.endpoint, { tls })
  const error = await failed(made.call(path, frame))
  expect(error).toMatchObject({ code: GrpcCode.UNAVAILABLE, sent: false })
  expect(error.message).toContain('cannot read `ca_file`')
  there = true
  await expect.poll(() => made.call(path, frame).then(String, () => ''), { interval: 5 }).toBe('safe')
})

test('a socket of the file system is an address', async () => {
  const socket = join(tmpdir(), `kymo-test-${process.pid}.sock`)
  rmSync(socket, { force: true })
  const server = http2.createServer()
  let authority: string | undefined
  server.on('stream', (stream, headers) => {
    authority = headers[':authority']
    answer(stream)
  })
  server.listen(socket)
  await once(server, 'listening')
  kept({ stop: () => server.close() })
  await client(`unix://${socket}`).call(path, frame)
  expect(authority).toBe('localhost')
})

test('closing ends calls in flight and those that come after', async () => {
  const begun = Promise.withResolvers<void>()
  const server = kept(await bareHttp2(() => begun.resolve()))
  const made = client(server.endpoint)
  const call = failed(made.call(path, frame))
  await begun.promise
  made.close()
  expect(await call).toMatchObject({ code: GrpcCode.UNAVAILABLE, message: 'the client is closed', sent: true })
  expect(await failed(made.call(path, frame))).toMatchObject({ code: GrpcCode.CANCELLED, sent: false })
})
