import * as z from 'zod'
import { type ComponentContext, defineExtension, type Extension } from '../../core/component.ts'
import { duration } from '../../core/fields.ts'
import { type Health, healthKey } from '../../core/health.ts'
import { CertificateStatus } from '../../net/certificate-status.ts'
import { grpcServer } from '../../net/grpc-server-keys.ts'
import { pageServer } from '../../net/http-server-keys.ts'
import { jsonPage, type Page, textPage } from '../../net/page-server.ts'
import { PageListener } from '../page-listener.ts'
import { httpStatusOf, judge, type HealthVerdict, verdictDocument } from './aggregate.ts'
import { GrpcHealth } from './grpc-health.ts'

const endpoint = 'localhost:13133'

const path = (otherwise: string) =>
  z
    .string()
    .default(otherwise)
    .refine(text => text.startsWith('/'), { error: 'must start with `/`' })

const rules = z.strictObject({
  include_permanent_errors: z.boolean().default(false).describe('Components that cannot go on make unhealthy.'),
  include_recoverable_errors: z
    .boolean()
    .default(false)
    .describe('Components in trouble make unhealthy after `recovery_duration`.'),
  recovery_duration: duration().prefault('1m').describe('How long a component may be in trouble.'),
})

const http = pageServer({ endpoint }).safeExtend({
  status: z
    .strictObject({
      enabled: z.boolean().default(true).describe('Serve the status.'),
      path: path('/status').describe(
        'Path of the status; `?pipeline=` asks for one pipeline, `?verbose` for the parts.',
      ),
    })
    .prefault({})
    .describe('The page of the status.'),
  config: z
    .strictObject({
      enabled: z
        .boolean()
        .default(false)
        .refine(enabled => !enabled, {
          error: 'this build does not show its configuration over the network; use `kymo print-config`',
        })
        .describe('Not supported: a configuration is not for the network.'),
      path: path('/config').describe('Accepted and without effect.'),
    })
    .prefault({})
    .describe('The page of the configuration.'),
})

const config = pageServer({ endpoint })
  .safeExtend({
    path: path('/').describe('Path of the answer.'),
    response_body: z
      .strictObject({
        healthy: z.string().default('').describe('Body of the answer when data is taken.'),
        unhealthy: z.string().default('').describe('Body of the answer when it is not.'),
      })
      .nullish()
      .transform(body => body ?? undefined)
      .describe('Bodies in place of JSON.'),
    check_collector_pipeline: z
      .unknown()
      .optional()
      .describe('Accepted and without effect, as in the Collector: see `component_health`.'),
    use_v2: z.boolean().default(false).describe('Serve `http` and `grpc` in place of `endpoint` and `path`.'),
    component_health: rules.prefault({}).describe('Which troubles of components make unhealthy.'),
    http: http
      .nullish()
      .transform(given => given ?? undefined)
      .describe('With `use_v2`: status over HTTP.'),
    grpc: grpcServer({ endpoint: 'localhost:13132' })
      .nullish()
      .transform(given => given ?? undefined)
      .describe('With `use_v2`: the health service of gRPC.'),
  })
  .refine(c => !c.use_v2 || c.http !== undefined || c.grpc !== undefined, {
    error: '`use_v2` needs `http` or `grpc`',
    path: ['use_v2'],
  })
type Config = z.output<typeof config>

/** Answers probes: is data taken, are the components well. */
export const healthCheck = defineExtension<Config>({
  type: 'health_check',
  stability: 'beta',
  runs: 'one',
  summary: 'Answers probes over HTTP and gRPC: whether data is taken, and how the components are.',
  signals: [],
  config,
  examples: [
    { title: 'For probes of this machine, on port 13133', config: {} },
    { title: 'For probes of Kubernetes', config: { endpoint: '0.0.0.0:13133', path: '/healthz' } },
    {
      title: 'Unhealthy when a destination is away for long; also over gRPC',
      config: {
        use_v2: true,
        component_health: { include_permanent_errors: true, include_recoverable_errors: true, recovery_duration: '5m' },
        http: { endpoint: 'localhost:13133', status: { path: '/health/status' } },
        grpc: { endpoint: 'localhost:13132' },
      },
    },
  ],
  create: (config, context) => (config.use_v2 ? detailed(config, context) : simple(config, context)),
})

/** 200 while data is taken, else 503. */
function simple(config: Config, context: ComponentContext): Extension {
  const { path, response_body: bodies } = config
  return new PageListener(config, context, asked => {
    if (asked !== path) return undefined
    const health = context.host.get(healthKey)
    const isReady = health.ready()
    const status = isReady ? 200 : 503
    return bodies === undefined
      ? jsonPage(status, availability(health, isReady, context.clock.wall()))
      : textPage(status, isReady ? bodies.healthy : bodies.unhealthy)
  })
}

/** The answer of the Collector's extension. */
function availability({ started }: Health, isReady: boolean, now: number): object {
  if (!isReady) return { status: 'Server not available' }
  const uptime = `${Math.round((now - started) / 1000)}s`
  return { status: 'Server available', upSince: new Date(started).toISOString(), uptime }
}

function detailed(config: Config, context: ComponentContext): Extension {
  const { http, grpc, component_health: rules } = config
  const verdictOf = (pipeline: string): HealthVerdict | undefined => {
    const verdict = judge(context.host.get(healthKey), rules, context.clock.wall())
    return pipeline === '' ? verdict : verdict.parts.get(`pipeline:${pipeline}`)
  }
  const page = (asked: string, query: URLSearchParams): Page | undefined => {
    if (http?.status.enabled !== true || asked !== http.status.path) return undefined
    const pipeline = query.get('pipeline') ?? ''
    const verdict = verdictOf(pipeline)
    if (verdict === undefined) return textPage(404, `no pipeline ${pipeline}`)
    const { started } = context.host.get(healthKey)
    const verbose = query.has('verbose') && query.get('verbose') !== 'false'
    return jsonPage(httpStatusOf(verdict), verdictDocument(verdict, verbose, started))
  }
  const isServing = (service: string): boolean | undefined => {
    const verdict = verdictOf(service)
    return verdict === undefined ? undefined : httpStatusOf(verdict) === 200
  }
  const certificates = new CertificateStatus(context.status, true)
  const listeners = [
    ...(http === undefined ? [] : [new PageListener(http, context, page, undefined, certificates)]),
    ...(grpc === undefined ? [] : [new GrpcHealth(grpc, context, isServing, certificates)]),
  ]
  return {
    async start() {
      for (const listener of listeners) await listener.start()
    },
    async stop() {
      await Promise.all(listeners.map(listener => listener.stop()))
    },
  }
}
