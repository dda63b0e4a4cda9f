/** Settings of what senders may take up at once. */
import * as z from 'zod'
import { duration, int } from '../core/fields.ts'
import type { OccupancyLimits } from './occupancy.ts'

const connectionKeys = {
  max_connections: int(0)
    .default(10_000)
    .describe('Connections that may be open; further ones are closed at once. 0 sets no limit.'),
  max_connections_per_peer: int(0)
    .default(1000)
    .describe(
      'The same of one address (IPv6: of one /64 network). A proxy is one address; a unix socket has none, and no limit per peer. 0 sets no limit.',
    ),
}

const requestKeys = {
  ...connectionKeys,
  max_requests: int(0)
    .default(20_000)
    .describe(
      'Requests in flight, from their head until their answer is taken; further ones are asked to come again. 0 sets no limit.',
    ),
  max_requests_per_peer: int(0)
    .default(5000)
    .describe('The same of one address; over HTTP further ones are answered 429. 0 sets no limit.'),
  memory_percentage_per_peer: int(0)
    .default(50)
    .refine(percentage => percentage <= 100, { error: 'must be at most 100' })
    .describe(
      'Part of the memory budget that bodies and open requests of one address may take, in percent. One connection may take a quarter of the budget. 0 sets no limit.',
    ),
  answer_timeout: duration()
    .prefault('10s')
    .describe('How long a sender may take to take its answer; then it is given up. 0 sets no limit.'),
}

const group = <T extends z.ZodRawShape>(keys: T, what: string) => {
  const limits = z.strictObject(keys)
  return limits
    .nullish()
    .transform(value => value ?? limits.parse({}))
    .prefault({} as z.input<typeof limits>)
    .describe(what)
}

const ofSenders =
  'What senders may take up at once. The last quarter of requests, and of the memory of a peer, is for connections that have little.'

/** `limits` of a server that answers from what it has. */
export const connectionLimits = () => group(connectionKeys, 'How many may be connected at once.')

/** `limits` of a server that takes bodies in. */
export const requestLimits = () => group(requestKeys, ofSenders)

/** `limits` of a gRPC server, which has no other key for how long a message may take. */
export const callLimits = () =>
  group(
    {
      ...requestKeys,
      body_timeout: duration()
        .prefault('2m')
        .describe('How long the message of a call may take to arrive. 0 sets no limit.'),
    },
    ofSenders,
  )

type Keys = Partial<z.output<z.ZodObject<typeof requestKeys>>>

/** The limits of a configuration. */
export function occupancyLimits(limits: Keys): OccupancyLimits {
  return {
    connections: limits.max_connections || Infinity,
    connectionsPerPeer: limits.max_connections_per_peer || Infinity,
    requests: limits.max_requests || Infinity,
    requestsPerPeer: limits.max_requests_per_peer || Infinity,
    memoryPerPeer: (limits.memory_percentage_per_peer || 100) / 100,
  }
}
