"""Why jobs refuses, and why a job fails."""

from orderhouse.kernel.errors import Conflict, Forbidden, Invalid, NotFound, Stale, Unavailable


class JobNotFound(NotFound):
    """There is no such job, or it is not yours to see."""

    code = "job_not_found"


class JobKindUnknown(Invalid):
    """There is no such kind of job."""

    code = "job_kind_unknown"


class JobKindNotAllowed(Forbidden):
    """Your role does not allow this kind of job."""

    code = "job_kind_not_allowed"


class JobArgumentInvalid(Invalid):
    """The argument does not fit this kind of job; `errors` says where."""

    code = "job_argument_invalid"


class JobNeverInTime(Invalid):
    """The deadline is not after the moment the job may begin."""

    code = "job_never_in_time"


class JobAlreadyQueued(Conflict):
    """A job of this kind with this unique key waits or runs already."""

    code = "job_already_queued"


class JobEnded(Conflict):
    """This job has ended; there is nothing to cancel."""

    code = "job_ended"


class JobNotRetryable(Conflict):
    """Only a job that failed or was cancelled can be tried again."""

    code = "job_not_retryable"


class JobBroke(Unavailable):
    """The job broke; why is in the log, under its id."""

    code = "job_broke"


class JobWorkersLost(Unavailable):
    """Every worker that took this job up was lost while it ran."""

    code = "job_workers_lost"


class JobTooSlow(Unavailable):
    """An attempt took longer than one of this kind may."""

    code = "job_too_slow"


class JobDeadlinePassed(Unavailable):
    """The job was not done by its deadline."""

    code = "job_deadline_passed"


class FileNotFound(NotFound):
    """There is no such file, or it is not yours to see."""

    code = "file_not_found"


class FileWhole(Conflict):
    """This file has other content already; begin another one."""

    code = "file_whole"


class FileEmpty(Conflict):
    """This file has no content yet."""

    code = "file_empty"


class ScheduleNotFound(NotFound):
    """There is no such schedule."""

    code = "schedule_not_found"


class ScheduleMovedOn(Stale):
    """Somebody changed this schedule since you read it; read it again."""

    code = "schedule_moved_on"


class ScheduleNameTaken(Conflict):
    """Another schedule is called so."""

    code = "schedule_name_taken"


class ScheduleZoneUnknown(Invalid):
    """No zone of IANA's is called so; one is Europe/London."""

    code = "schedule_zone_unknown"


class CronInvalid(Invalid):
    """This is no cron expression that ever comes true."""

    code = "cron_invalid"
