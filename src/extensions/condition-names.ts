/** What the sets of conditions are called, for the engine, which needs nothing else of the extension. */

export const conditionName = 'condition';
/** Purpose of the set that holds both families while the condition is on. */
export const conditionState = 'on';
