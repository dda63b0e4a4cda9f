import type { Writable } from '../../proto/values.ts'

/** Attributes of a resource by name. */
export type DetectedAttributes = ReadonlyMap<string, Writable>

/** What a detector found, and what kept it from finding more. */
export interface Detected {
  readonly attributes: DetectedAttributes
  readonly problem: string | undefined
}

/** Finds out about the place this process runs in. May answer at once. */
export interface Detector {
  readonly name: string
  /** @throws when it finds nothing; it is then asked again later */
  detect(abort: AbortSignal): Detected | Promise<Detected>
}

/** Which attributes a section of the configuration asks for, on top of those that are on by default. */
export type Switches = Readonly<Record<string, { readonly enabled: boolean }>>

/** Whether an attribute is wanted. */
export function isOn(switches: Switches, name: string, byDefault: readonly string[]): boolean {
  return switches[name]?.enabled ?? byDefault.includes(name)
}
