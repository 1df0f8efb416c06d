"""What may be done with the rules that raise tasks."""

from orderhouse.kernel.events import NewFact
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from orderhouse.runtime.one_by_one import one_by_one
from orderhouse.tasks import contract
from orderhouse.tasks.errors import RuleMovedOn, RuleNotFound, RulesFull
from orderhouse.tasks.models.rules import RuleState, TaskRule
from orderhouse.tasks.repository import CauseRepository
from orderhouse.tasks.schemas.rules import MOST_RULES, AddRule, RuleChange
from orderhouse.tasks.schemas.shared import Target
from orderhouse.tasks.service.causes import CauseService


class RuleService:
    """Decides what becomes of rules. What a rule sees is brought to where the rule leaves it, in the same moment."""

    def __init__(self, causes: CauseService) -> None:
        """Bring `causes` to where rules leave them."""
        self._causes = causes

    @one_by_one
    def add(self, tx: Transaction, asked: Asked[AddRule]) -> RuleState:
        """Add a rule, which sees what there is now; of credits, those that come from now on."""
        repository = CauseRepository(tx)
        repository.lock_rules()
        if repository.count_rules() >= MOST_RULES:
            raise RulesFull
        rule = TaskRule.add(asked.wanted, at=asked.at)
        repository.add(rule)
        return self._settled(tx, asked, rule, contract.RULE_ADDED)

    @one_by_one
    def change(self, tx: Transaction, asked: Asked[RuleChange]) -> RuleState:
        """Change a rule; tasks it would not raise any more are cancelled, and those it would raise now are raised."""
        repository = CauseRepository(tx)
        repository.lock_rules()
        rule = _seen(repository.rule(asked.wanted.id), asked.wanted.version)
        if not rule.change(asked.wanted.wanted, at=asked.at):
            return rule.state
        return self._settled(tx, asked, rule, contract.RULE_CHANGED)

    @one_by_one
    def remove(self, tx: Transaction, asked: Asked[Target]) -> None:
        """Remove a rule; what it raised and nobody has done yet is cancelled."""
        repository = CauseRepository(tx)
        repository.lock_rules()
        rule = _seen(repository.rule(asked.wanted.id), asked.wanted.version)
        rule.enabled, rule.version = False, rule.version + 1
        self._settled(tx, asked, rule, contract.RULE_REMOVED)
        repository.remove(rule)

    def _settled(self, tx: Transaction, asked: Asked[object], rule: TaskRule, fact: str) -> RuleState:
        state = rule.state
        self._causes.settle(tx, state)
        data = {"kind": state.when.kind, "enabled": state.enabled}
        tx.tell([NewFact(fact, state.id, state.version, data, asked.at, asked.origin)])
        return state


def _seen(rule: TaskRule | None, version: int | None) -> TaskRule:
    if rule is None:
        raise RuleNotFound
    if version not in (None, rule.version):
        raise RuleMovedOn(current=rule.version)
    return rule
