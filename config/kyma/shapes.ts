/** What the documents of Kyma's Telemetry module may say, in version v1beta1. */
import * as z from 'zod'
import { secret } from '../../core/fields.ts'
import type { MapNode } from '../document.ts'

const secretKeyRef = z.strictObject({ name: z.string(), namespace: z.string(), key: z.string() })

/** A value, or the key of a Secret that has it. */
const valueOf = (value: z.ZodType) =>
  z
    .strictObject({ value: value.optional(), valueFrom: z.strictObject({ secretKeyRef }).optional() })
    .refine(given => (given.value === undefined) !== (given.valueFrom === undefined), {
      error: 'needs either `value` or `valueFrom`',
    })
const plain = valueOf(z.string())
const hidden = valueOf(secret())

const namespace = z
  .string()
  .max(63)
  .regex(/^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/, { error: 'a namespace has small letters, digits and `-`' })

const either = (one: string, other: string) => ({ error: `set \`${one}\` or \`${other}\`, not both` })

const namespaces = z
  .strictObject({ include: z.array(namespace).optional(), exclude: z.array(namespace).optional() })
  .refine(selector => selector.include === undefined || selector.exclude === undefined, either('include', 'exclude'))

const containers = z
  .strictObject({ include: z.array(z.string()).optional(), exclude: z.array(z.string()).optional() })
  .refine(selector => selector.include === undefined || selector.exclude === undefined, either('include', 'exclude'))

const switchable = z.strictObject({ enabled: z.boolean().optional() })
const enabled = z.boolean().optional()

const otlpInput = z.strictObject({ enabled, namespaces: namespaces.optional() })

const tls = z
  .strictObject({
    insecure: z.boolean().optional(),
    insecureSkipVerify: z.boolean().optional(),
    ca: plain.optional(),
    cert: plain.optional(),
    key: hidden.optional(),
  })
  .refine(given => (given.cert === undefined) === (given.key === undefined), {
    error: '`cert` and `key` go together',
  })

const authentication = z
  .strictObject({
    basic: z.strictObject({ user: plain, password: hidden }).optional(),
    oauth2: z
      .strictObject({
        tokenURL: plain,
        clientID: plain,
        clientSecret: hidden,
        scopes: z.array(z.string()).optional(),
        params: z.record(z.string(), z.string()).optional(),
      })
      .optional(),
  })
  .refine(given => given.basic === undefined || given.oauth2 === undefined, either('basic', 'oauth2'))

const header = z
  .strictObject({
    name: z.string().min(1),
    value: secret().optional(),
    valueFrom: z.strictObject({ secretKeyRef }).optional(),
    prefix: z.string().optional(),
  })
  .refine(given => (given.value === undefined) !== (given.valueFrom === undefined), {
    error: 'needs either `value` or `valueFrom`',
  })

const otlpOutput = {
  endpoint: plain,
  protocol: z.enum(['grpc', 'http']).optional(),
  path: z.string().optional(),
  compression: z.enum(['none', 'gzip', 'snappy', 'zstd']).optional(),
  authentication: authentication.optional(),
  headers: z.array(header).optional(),
  tls: tls.optional(),
}

/** OTTL, which is not looked into here. */
const ottl = {
  transform: z.array(z.looseObject({})).optional(),
  filter: z.array(z.looseObject({})).optional(),
}

const logs = z.strictObject({
  input: z
    .strictObject({
      runtime: z
        .strictObject({
          enabled,
          namespaces: namespaces.optional(),
          containers: containers.optional(),
          keepOriginalBody: z.boolean().optional(),
          keepAnnotations: z.boolean().optional(),
          dropLabels: z.boolean().optional(),
        })
        .optional(),
      otlp: otlpInput.optional(),
    })
    .optional(),
  output: z
    .strictObject({
      otlp: z.strictObject(otlpOutput).optional(),
      http: z.looseObject({ user: plain.optional(), password: hidden.optional() }).optional(),
      custom: z.string().optional(),
    })
    .refine(output => Object.values(output).filter(one => one !== undefined).length === 1, {
      error: 'needs one of `otlp`, `http`, `custom`',
    }),
  filters: z.array(z.looseObject({})).optional(),
  files: z.array(z.looseObject({})).optional(),
  variables: z.array(z.looseObject({})).optional(),
  ...ottl,
})

const traces = z.strictObject({ output: z.strictObject({ otlp: z.strictObject(otlpOutput) }), ...ottl })

const resources = ['pod', 'container', 'node', 'volume', 'daemonset', 'deployment', 'statefulset', 'job'] as const

const scraped = { enabled, namespaces: namespaces.optional(), diagnosticMetrics: switchable.optional() }

const metrics = z.strictObject({
  input: z
    .strictObject({
      otlp: otlpInput.optional(),
      runtime: z
        .strictObject({
          enabled,
          namespaces: namespaces.optional(),
          resources: z.partialRecord(z.enum(resources), switchable).optional(),
          additionalMetrics: z.array(z.string()).optional(),
        })
        .optional(),
      prometheus: z.strictObject(scraped).optional(),
      istio: z.strictObject({ ...scraped, envoyMetrics: switchable.optional() }).optional(),
    })
    .optional(),
  output: z.strictObject({
    otlp: z.strictObject({ ...otlpOutput, temporality: z.enum(['preserve', 'delta']).optional() }),
  }),
  ...ottl,
})

const document = (kind: string, spec: z.ZodType) =>
  z.strictObject({
    apiVersion: z.string(),
    kind: z.literal(kind),
    metadata: z.looseObject({
      name: z.string().regex(/^[a-z0-9](?:[-.a-z0-9]*[a-z0-9])?$/, { error: 'has small letters, digits, `-` and `.`' }),
    }),
    spec,
    // What a cluster adds to a document that is read from it.
    status: z.unknown().optional(),
  })

/** The documents by their kind. */
export const shapes = {
  LogPipeline: document('LogPipeline', logs),
  TracePipeline: document('TracePipeline', traces),
  MetricPipeline: document('MetricPipeline', metrics),
} as const

/** Kinds of pipelines. */
export type PipelineKind = keyof typeof shapes

/** One pipeline of Kyma's, in the form of v1beta1. */
export interface KymaPipeline {
  readonly kind: PipelineKind
  readonly name: string
  /** What messages call it. */
  readonly path: string
  readonly document: MapNode
}
