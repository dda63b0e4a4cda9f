/** Calls of ours and of grpc-js in each direction, over connections that end in the middle of them and through small windows. */
import { afterEach, expect, test } from 'vitest'
import { client, kept } from '../support/grpc-client-runs.ts'
import { framed, grpcJs as grpcJsServer } from '../support/grpc-peer.ts'
import { cleanup, grpcJs as grpcJsClient, path, serve } from '../support/grpc-serving.ts'
import { signals } from '../../proto/signals.ts'

afterEach(cleanup)

/** Sends a message, which comes back. */
type Echo = (body: Buffer) => Promise<Buffer>
/** Told of the sender of each call. */
type OnPeer = (peer: string) => void

const age = '20ms'
const ours = async (onPeer: OnPeer) => {
  const { port, budget } = await serve({
    settings: { keepalive: { server_parameters: { max_connection_age: age } } },
    handler: call => {
      onPeer(call.peer)
      budget.release(call.charge)
      call.reply(call.body)
    },
  })
  return port
}

const pairs: Record<string, (onPeer: OnPeer) => Promise<Echo>> = {
  async 'ours to ours'(onPeer) {
    const made = client(`127.0.0.1:${await ours(onPeer)}`)
    return body => made.call(path, framed(body), { timeout: 20_000 })
  },
  async 'ours to grpc-js'(onPeer) {
    const server = kept(
      await grpcJsServer(
        (call, done) => {
          onPeer(call.getPeer())
          done(null, call.request)
        },
        { options: { 'grpc.max_connection_age_ms': 20, 'grpc.max_connection_age_grace_ms': 20_000 } },
      ),
    )
    const made = client(server.endpoint)
    return body => made.call(signals.traces.grpcPath, framed(body), { timeout: 20_000 })
  },
  async 'grpc-js to ours'(onPeer) {
    return grpcJsClient(await ours(onPeer), { 'grpc-node.flow_control_window': 1000 })
  },
}

// Larger than what may be sent at once of a stream, or of a connection of grpc-js; not so large that they are few.
const bodies = [1, 10_000, 70_000, 200_000].map(size => Buffer.alloc(size, 'some text, '))

test.each(Object.entries(pairs))('%s: no call is lost where connections end all the time', async (_, start) => {
  const peers = new Set<string>()
  const echo = await start(peer => peers.add(peer))
  while (peers.size < 5) {
    const answers = await Promise.all(bodies.map(body => echo(body)))
    for (const [i, answer] of answers.entries()) expect(answer.equals(bodies[i])).toBe(true)
  }
})
