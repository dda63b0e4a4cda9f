/** An exporter of OTLP outside of any graph: for what Kymo tells about itself, which is not to be observed again. */
import * as z from 'zod'
import { machineClock } from '../core/clock.ts'
import { finderFor } from '../core/capability.ts'
import type { ExporterContext } from '../core/component.ts'
import type { Secret } from '../core/fields.ts'
import { Host } from '../core/host.ts'
import type { Logger } from '../core/logger.ts'
import { Status } from '../core/status.ts'
import { soleWorker } from '../core/worker.ts'
import { grpcClient } from '../net/grpc-client-keys.ts'
import { httpClient } from '../net/http-client-keys.ts'
import { type Signal, signals } from '../proto/signals.ts'
import { OtlpGrpc } from './otlp-grpc-send.ts'
import { OtlpHttp } from './otlp-http-send.ts'

/** Where such an exporter sends. */
export interface AloneDestination {
  readonly signal: Signal
  readonly protocol: 'grpc' | 'http'
  /** For `http` a URL, for `grpc` host and port. */
  readonly endpoint: string
  readonly headers: Readonly<Record<string, Secret>>
  readonly gzip: boolean
  /** Milliseconds. */
  readonly timeout: number
  readonly insecure: boolean
  readonly caFile: string | undefined
  readonly certFile: string | undefined
  readonly keyFile: string | undefined
}

/** One of the two. */
export type OtlpAlone = OtlpGrpc | OtlpHttp

const grpcConfig = z.strictObject(grpcClient())
const httpConfig = z.strictObject(httpClient({ compression: 'none' }))

/** An exporter to `destination`, known as `id`. It needs no start. */
export function otlpAlone(destination: AloneDestination, id: string, log: Logger): OtlpAlone {
  const { signal, protocol, endpoint, headers, timeout, gzip, insecure, caFile, certFile, keyFile } = destination
  const compression = gzip ? 'gzip' : 'none'
  const tls = insecure ? { insecure } : { ca_file: caFile, cert_file: certFile, key_file: keyFile }
  const context: ExporterContext = {
    id,
    log,
    status: new Status(),
    host: new Host(),
    worker: soleWorker,
    signals: new Set([signal]),
    extension: finderFor({ id }, () => undefined),
    clock: machineClock,
    // Nothing waits here.
    reached() {},
  }
  if (protocol === 'grpc') {
    return new OtlpGrpc({ ...grpcConfig.parse({ endpoint, compression, tls }), headers, timeout }, context)
  }
  const url = new URL(endpoint)
  // A path that is given is meant.
  if (url.pathname === '/') url.pathname = signals[signal].path
  return new OtlpHttp(
    { ...httpConfig.parse({ compression, tls }), headers, timeout },
    context,
    new Map([[signal, url]]),
  )
}
