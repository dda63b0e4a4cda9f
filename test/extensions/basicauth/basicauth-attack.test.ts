/** Whoever guesses passwords of a file with bcrypt keeps nobody else waiting: neither data, nor who is new. */
import { request } from 'node:http'
import { Metadata } from '@grpc/grpc-js'
import { afterEach, expect, test } from 'vitest'
import { basicauth } from '../../../extensions/basicauth/basicauth.ts'
import { extensionOf } from '../../support/extending.ts'
import { tracesRequest } from '../../support/otlp-bytes.ts'
import { grpcSender, receive } from '../../support/receiving.ts'

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

/** `secret` at cost 12: 0.35 s of a core each. */
const hash = '$2b$12$abcdefghijklmnopqrstuuT1Iwu6o8Wx7BoOyIMHfgVJq6JO/IJhW'
const body = tracesRequest([{ spans: ['a'] }])
const basic = (pair: string) => `Basic ${Buffer.from(pair).toString('base64')}`

const milliseconds = () => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}

/** The longest that this thread worked without coming back to the loop: its own time, however busy the machine is. */
function watchLoop() {
  let longest = 0
  let last = milliseconds()
  const probe = setInterval(() => {
    const now = milliseconds()
    longest = Math.max(longest, now - last)
    last = now
  }, 1)
  open.push(() => clearInterval(probe))
  return {
    reset() {
      longest = 0
      last = milliseconds()
    },
    longest: () => longest,
  }
}

async function guarded() {
  const { extension, stop } = extensionOf(basicauth, {
    htpasswd: { inline: `shop:${hash}\nbank:${hash}\nnew:${hash}` },
  })
  await extension.start?.()
  const auth = { authenticator: 'basicauth' }
  const running = await receive({ grpc: { auth }, http: { auth }, extensions: { basicauth: extension } })
  open.push(stop, running.stop)
  const overHttp = (pair: string, localAddress = '127.0.0.1'): Promise<number> =>
    new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/x-protobuf', authorization: basic(pair) }
      const options = { host: '127.0.0.1', port: running.httpPort, path: '/v1/traces', method: 'POST', headers }
      request({ ...options, localAddress, agent: false }, response => {
        response.resume().on('end', () => resolve(response.statusCode ?? 0))
      })
        .on('error', reject)
        .end(body)
    })
  const client = grpcSender(running.grpcPort)
  open.push(client.close)
  const overGrpc = async (pair: string): Promise<number> => {
    const metadata = new Metadata()
    metadata.set('authorization', basic(pair))
    return (await client.send(body, { metadata })).status
  }
  /** As SDKs do it: who is asked to come again comes again. */
  const untilTold = async (pair: string, localAddress?: string): Promise<number> => {
    for (;;) {
      const status = await overHttp(pair, localAddress)
      if (status !== 503) return status
      await new Promise(resolve => setTimeout(resolve, 1000))
    }
  }
  return { ...running, overHttp, overGrpc, untilTold }
}

test('200 wrong passwords at once: data flows, who is known and who is new come in, and the loop is free', async () => {
  const { overHttp, overGrpc, untilTold, budget } = await guarded()
  expect(await untilTold('bank:secret')).toBe(200)
  const loop = watchLoop()
  const guesses = Array.from({ length: 200 }, (_, i) =>
    i % 2 === 0 ? overHttp(`shop:guess${i}`) : overGrpc(`shop:guess${i}`),
  )
  // The connections of the attackers are made in this process, too: that is not what is measured.
  await new Promise(resolve => setTimeout(resolve, 200))
  loop.reset()
  const began = performance.now()
  const known = overHttp('bank:secret').then(status => ({ status, took: performance.now() - began }))
  const news = untilTold('new:secret')
  const { status, took } = await known
  expect(status).toBe(200)
  // Behind 200 of 450 ms it was a minute and a half.
  expect(took).toBeLessThan(10_000)
  // From the attacker's own address, and the attacked name from another.
  expect(await news).toBe(200)
  expect(await untilTold('shop:secret', '127.0.0.2')).toBe(200)
  const answers = await Promise.all(guesses)
  const longest = loop.longest()
  expect(answers.filter(answer => answer === 200 || answer === 0)).toEqual([])
  // Asked to come again, most of them; told that it is wrong, a few.
  expect(answers.filter(answer => answer === 503 || answer === 14).length).toBeGreaterThan(150)
  if (process.env['SHOW']) process.stdout.write(`longest block ${longest} ms, known user after ${took} ms\n`)
  // 450 ms for each of them when it was hashed on the loop.
  expect(longest).toBeLessThan(100)
  await expect.poll(() => budget.used, { timeout: 60_000 }).toBe(0)
}, 120_000)
