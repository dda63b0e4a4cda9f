import { afterEach, expect, test } from 'vitest'
import { silent } from '../../core/logger.ts'
import { GrpcClient } from '../../net/grpc-client.ts'
import { GrpcCode } from '../../proto/status.ts'
import { settings } from '../attacks/frames.ts'
import { failed, frame, path } from '../support/grpc-client-runs.ts'
import { MemorySocket } from '../support/memory-socket.ts'
import { MovedTimers, settled } from '../support/moved-timers.ts'

const timers = new MovedTimers()
afterEach(() => timers.end())

test.each(['is lost', 'ends'])(
  'who asks whether a server is there asks no longer than the connection stands: it %s',
  async how => {
    timers.begin()
    const socket = new MemorySocket()
    const client = new GrpcClient({
      endpoint: 'x:1',
      userAgent: 'kymo/test',
      log: silent,
      resolve: () => Promise.resolve([{ host: 'x', port: 1 }]),
      connect: () => socket,
    })
    const call = failed(client.call(path, frame, { timeout: 100 }))
    await settled()
    socket.emit('connect')
    socket.push(settings())
    await timers.advance(100)
    expect((await call).code).toBe(GrpcCode.DEADLINE_EXCEEDED)
    // The deadline made it ask.
    expect(timers.size).toBe(1)
    if (how === 'is lost') socket.destroy()
    client.close()
    // What was said last may still be read.
    await timers.advance(1000)
    expect(timers.size).toBe(0)
  },
)
