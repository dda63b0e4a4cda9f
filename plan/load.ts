/** From the texts a user gives to what they mean. */
import { type ListedOptions, loadConfig, type Loaded, loadListedConfig, type LoadOptions } from '../config/load.ts'
import { type Plan, planOf } from './plan.ts'
import { trapsOf } from './traps.ts'

/** A configuration that nothing is wrong with, and what it means. */
export interface Planned extends Loaded {
  readonly plan: Plan
}

/**
 * Reads, checks and resolves a configuration.
 * @throws ConfigErrors with everything that is wrong with it
 */
export const loadPlan = (options: LoadOptions): Planned =>
  planned(loadConfig(options, configured => trapsOf(planOf(configured))))

/**
 * The same, and loads of the components only those that it has.
 * @throws ConfigErrors with everything that is wrong with it
 */
export const loadListedPlan = async (options: ListedOptions): Promise<Planned> =>
  planned(await loadListedConfig(options, configured => trapsOf(planOf(configured))))

/** Resolves one that was read elsewhere. */
export const planned = <T extends Pick<Loaded, 'configured'>>(loaded: T): T & { readonly plan: Plan } => ({
  ...loaded,
  plan: planOf(loaded.configured),
})
