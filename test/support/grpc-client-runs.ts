/** Clients under test, and what runs against them, ended after each test. */
import { afterEach } from 'vitest'
import { silent } from '../../core/logger.ts'
import { GrpcClient, type GrpcClientOptions, GrpcError } from '../../net/grpc-client.ts'
import { signals } from '../../proto/signals.ts'
import { framed, type Peer } from './grpc-peer.ts'

export const path = signals.traces.grpcPath
export const frame = framed(Buffer.from('request'))

const open: { stop(): unknown }[] = []
afterEach(async () => {
  for (const thing of open.splice(0).toReversed()) await thing.stop()
})

/** Ends `thing` after the test. */
export function kept<T extends Pick<Peer, 'stop'> | { stop(): unknown }>(thing: T): T {
  open.push(thing)
  return thing
}

/** A client that connects again after milliseconds. */
export function client(endpoint: string, more: Partial<GrpcClientOptions> = {}): GrpcClient {
  const made = new GrpcClient({
    endpoint,
    userAgent: 'kymo/test',
    log: silent,
    backoff: { initial: 5, max: 20, multiplier: 1.6, jitter: 0.2 },
    ...more,
  })
  kept({ stop: () => made.close() })
  return made
}

/** The error a call ends with. */
export const failed = (call: Promise<Buffer>): Promise<GrpcError> =>
  call.then(
    () => Promise.reject(new Error('the call succeeded')),
    (error: unknown) => (error instanceof GrpcError ? error : Promise.reject(error as Error)),
  )
