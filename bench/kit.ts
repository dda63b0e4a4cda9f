/** What the comparison needs beside Kymo: the peer, payloads, the sink, the program that measures. They are not part of Kymo. */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

/** The root of the project. */
export const root = join(import.meta.dirname, '..')

/** Paths of the kit's parts. */
export interface Kit {
  readonly measure: string
  /** The program that measures a quiet day. */
  readonly quiet: string
  readonly sink: string
  readonly peer: string
  readonly peerConfig: string
  /** Its configuration with an edit of every item. */
  readonly peerAttributes: string
  /** Folder of the request bodies. */
  readonly payloads: string
}

/** Finds the kit in `../shared/bench` or `KYMO_BENCH_KIT`, and writes the request bodies when they are not there yet. */
export function findKit(): Kit {
  const folder = resolve(process.env['KYMO_BENCH_KIT'] ?? join(root, '../shared/bench'))
  const part = (name: string): string => {
    const path = join(folder, name)
    if (existsSync(path)) return path
    throw new Error(
      `the benchmark kit is not in \`../shared/bench\` beside the project (no \`${name}\`); ` +
        'say where it is with `KYMO_BENCH_KIT=FOLDER`',
    )
  }
  // The folder that bench.py uses, too.
  const payloads = join(tmpdir(), 'otlp-bench-payloads')
  const write = part('payloads.mjs')
  if (!existsSync(join(payloads, 'traces-gw.grpc.gz'))) execFileSync(process.execPath, [write, payloads])
  return {
    measure: part('bench.py'),
    quiet: part('quiet.py'),
    sink: part('sink.mjs'),
    peer: part('peer.sh'),
    peerConfig: part('peer-filter-enrich.yaml'),
    peerAttributes: part('peer-attributes.yaml'),
    payloads,
  }
}

/** The arguments of h2load that send `payload` over gRPC, but how much and how fast. */
export function grpcLoad(kit: Kit, payload: string, port: number): string[] {
  const paths: Record<string, string> = {
    traces: 'trace.v1.TraceService',
    logs: 'logs.v1.LogsService',
    metrics: 'metrics.v1.MetricsService',
  }
  const service = paths[payload.split('-')[0]]
  return [
    '-w',
    '24',
    '-W',
    '28',
    '-d',
    join(kit.payloads, `${payload}.grpc`),
    '-H',
    'content-type: application/grpc',
    '-H',
    'te: trailers',
    `http://127.0.0.1:${port}/opentelemetry.proto.collector.${service}/Export`,
  ]
}

/** The same over HTTP/1.1. */
export function httpLoad(kit: Kit, payload: string, port: number): string[] {
  return [
    '--h1',
    '-d',
    join(kit.payloads, `${payload}.bin`),
    '-H',
    'content-type: application/x-protobuf',
    `http://127.0.0.1:${port}/v1/${payload.split('-')[0]}`,
  ]
}
