/** A destination that accepts every export over gRPC and forgets it. usage: node bench/sink.ts PORT */
import { createServer } from 'node:http2'

const server = createServer({ settings: { initialWindowSize: 16 << 20, maxConcurrentStreams: 1000 } })
server.on('session', session => session.setLocalWindowSize(64 << 20))
server.on('stream', stream => {
  stream.on('error', () => undefined)
  stream.resume()
  stream.on('end', () => {
    if (stream.destroyed) return
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    stream.end(Buffer.alloc(5))
  })
})
server.listen(Number(process.argv[2]), '127.0.0.1')
