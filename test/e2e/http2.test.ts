/** HTTP/2 of our own against what others make of it: h2spec, curl, and many connections and streams at a time. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http2 from 'node:http2'
import { connect, createServer, type Socket } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { memoryOf } from '../../bench/processes.ts'
import { signals } from '../../proto/signals.ts'
import { serverCert, serverKey } from '../net/certificates.ts'
import { frame, head, preface, readFrames } from '../support/http2-frames.ts'
import { framed } from '../support/grpc-peer.ts'
import { EchoServer } from '../support/http2-server.ts'
import { freePort, type KymoProcess, spawnKymo } from '../support/kymo.ts'
import { names, tracesRequest } from '../support/otlp-bytes.ts'

const folder = mkdtempSync(join(tmpdir(), 'kymo-http2-'))
afterAll(() => rmSync(folder, { recursive: true }))

const bin = join(process.env['BACKENDS_DIR'] ?? join(homedir(), '.cache/telemetry-backends'), 'bin')
const h2spec = [join(bin, 'h2spec'), join(homedir(), 'go/bin/h2spec')].find(existsSync)
if (h2spec === undefined) console.warn('skipped: h2spec is not there')
const hasCurl = /\bHTTP2\b/.test(spawnSync('curl', ['-V']).stdout?.toString() ?? '')

let kymo: KymoProcess | undefined
let port: number
afterEach(async () => {
  kymo?.child.kill('SIGTERM')
  await kymo?.ended
  kymo = undefined
})

/** Starts a process whose receiver has these settings beside its port. */
async function start(more: object = {}): Promise<void> {
  port = await freePort()
  const config = {
    receivers: { otlp: { protocols: { grpc: { endpoint: `127.0.0.1:${port}`, ...more } } } },
    exporters: { nop: {} },
    service: {
      telemetry: { metrics: { level: 'none' } },
      pipelines: { traces: { receivers: ['otlp'], exporters: ['nop'] } },
    },
  }
  const file = join(folder, 'config.json')
  writeFileSync(file, JSON.stringify(config))
  kymo = spawnKymo(['run', '--config', file])
  await kymo.until('everything is ready')
}

const path = signals.traces.grpcPath
const message = framed(tracesRequest([{ namespace: 'shop', spans: names('s', 10) }]))

/** Its figures, and what failed. */
async function runH2spec(at: number, secure: boolean): Promise<{ all: number; failed: number; which: string[] }> {
  const args = ['-h', '127.0.0.1', '-p', String(at), '-P', path, '--timeout', '2', ...(secure ? ['-t', '-k'] : [])]
  const child = spawn(h2spec ?? '', args)
  let text = ''
  child.stdout.on('data', chunk => (text += String(chunk)))
  await once(child, 'close')
  const [, all, failed] = /(\d+) tests, .* (\d+) failed/.exec(text) ?? []
  const which = new Set([...text.matchAll(/× \d+: (.+)/g)].map(([, name = '']) => name))
  return { all: Number(all), failed: Number(failed), which: [...which].toSorted() }
}

describe.skipIf(h2spec === undefined)('h2spec', () => {
  test.each([false, true])('finds nothing wrong with our frames, with TLS: %s', async secure => {
    const echo = new EchoServer({ holds: true })
    // A moment later: streams are open beside one another, as where answers take a while.
    const answering = setInterval(() => {
      for (const answer of echo.held.splice(0)) answer()
    }, 2)
    const server = secure
      ? createTlsServer({ cert: serverCert, key: serverKey, ALPNProtocols: ['h2'] }, socket => echo.accept(socket))
      : createServer(socket => echo.accept(socket))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const found = await runH2spec(typeof address === 'object' && address !== null ? address.port : 0, secure)
    clearInterval(answering)
    echo.close()
    server.close()
    expect(found).toEqual({ all: expect.any(Number) as number, failed: 0, which: [] })
    expect(found.all).toBeGreaterThan(140)
    expect(echo.faults).toEqual([])
  })

  test.each([false, true])('finds with the receiver only what cannot be, with TLS: %s', async secure => {
    const tls = { cert_file: join(folder, 'cert.pem'), key_file: join(folder, 'key.pem') }
    writeFileSync(tls.cert_file, serverCert)
    writeFileSync(tls.key_file, serverKey)
    await start(secure ? { tls } : {})
    const { all, which } = await runH2spec(port, secure)
    expect(all).toBeGreaterThan(140)
    expect(which).toEqual([
      // What is no call is answered at once: there are never more streams open than may be.
      'Sends HEADERS frames that causes their advertised concurrent stream limit to be exceeded',
      // And it is answered without a body, for which these two wait.
      'Sends a PRIORITY frame on half-closed (remote) stream',
      'Sends a WINDOW_UPDATE frame on half-closed (remote) stream',
    ])
  })
})

test.skipIf(!hasCurl)('curl, which begins with HTTP/2 because it knows, is answered with trailers', async () => {
  await start()
  const [body, headers] = [join(folder, 'body'), join(folder, 'headers')]
  writeFileSync(body, message)
  const given = ['content-type: application/grpc', 'te: trailers'].flatMap(header => ['-H', header])
  const url = `http://127.0.0.1:${port}${path}`
  const args = ['--http2-prior-knowledge', '-sS', '--data-binary', `@${body}`, '-D', headers, '-o', `${body}.out`]
  const { status, stderr } = spawnSync('curl', [...args, ...given, url])
  expect(status, String(stderr)).toBe(0)
  expect(readFileSync(headers, 'latin1')).toMatch(/^HTTP\/2 200[^]*grpc-status: 0/)
  expect(readFileSync(`${body}.out`)).toEqual(Buffer.alloc(5))
})

describe('many at a time', () => {
  const call = (stream: number): Buffer =>
    Buffer.concat([frame(1, 4, stream, head(path)), frame(0, 1, stream, message)])

  /** Resolves to how many calls were answered with success, once `count` trailers came. */
  function answered(socket: Socket, count: number): Promise<number> {
    let rest: Buffer = Buffer.alloc(0)
    let ended = 0
    let good = 0
    return new Promise((resolve, reject) => {
      socket.on('error', reject)
      socket.on('close', () => resolve(good))
      socket.on('data', (chunk: Buffer) => {
        const read = readFrames(Buffer.concat([rest, chunk]))
        rest = read.rest
        for (const { type, flags, payload } of read.frames) {
          if (type !== 1 || (flags & 1) === 0) continue
          ended++
          if (payload.includes('grpc-status') && payload.includes('\u00010')) good++
        }
        if (ended === count) resolve(good)
      })
    })
  }

  /** Connections from a few addresses, each with one call. */
  async function open(count: number): Promise<Socket[]> {
    const sockets: Socket[] = []
    for (let i = 0; i < count; i += 100) {
      const some = Array.from({ length: Math.min(100, count - i) }, (_, j) =>
        connect({ port, host: '127.0.0.1', localAddress: `127.0.0.${2 + ((i + j) % 50)}` }),
      )
      await Promise.all(some.map(socket => once(socket, 'connect')))
      const answers = some.map(socket => answered(socket, 1))
      for (const socket of some) socket.write(Buffer.concat([preface(), call(1)]))
      expect((await Promise.all(answers)).every(good => good === 1)).toBe(true)
      sockets.push(...some)
    }
    return sockets
  }

  const rss = (): number => memoryOf(kymo?.child.pid ?? 0).rss

  test('10,000 connections that have made a call and are idle', async () => {
    await start({ limits: { max_connections: 10_001 } })
    for (const socket of await open(200)) socket.destroy()
    const before = rss()
    const sockets = await open(10_000)
    // Memory that was only needed for the calls goes back.
    await new Promise(resolve => setTimeout(resolve, 12_000))
    const held = rss() - before
    const last = await open(1)
    console.log(`10,000 idle connections: ${((held * 1024) / 10_000).toFixed(1)} KiB each`)
    expect((held * 1024) / 10_000).toBeLessThan(16)
    for (const socket of [...sockets, ...last]) socket.destroy()
    await expect.poll(() => rss() - before, { timeout: 60_000, interval: 1000 }).toBeLessThan(held / 2)
  })

  test('1,000 streams on each of ten connections', async () => {
    await start({ max_concurrent_streams: 1000, limits: { max_requests: 20_000, max_requests_per_peer: 20_000 } })
    const clients = Array.from({ length: 10 }, () => http2.connect(`http://127.0.0.1:${port}`))
    await Promise.all(clients.map(client => once(client, 'remoteSettings')))
    const streams = clients.flatMap(client =>
      Array.from({ length: 1000 }, () =>
        client.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' }),
      ),
    )
    const statuses = streams.map(
      stream =>
        new Promise(resolve => {
          stream.resume().on('trailers', trailers => resolve(trailers['grpc-status']))
          stream.on('response', headers => headers['grpc-status'] !== undefined && resolve(headers['grpc-status']))
          stream.on('error', resolve)
        }),
    )
    // All are open before any of them ends.
    for (const stream of streams) stream.write(message.subarray(0, 7))
    for (const stream of streams) stream.end(message.subarray(7))
    expect(new Set(await Promise.all(statuses))).toEqual(new Set(['0']))
    for (const client of clients) client.close()
  })
})
