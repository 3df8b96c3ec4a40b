"""REST of the audit trail: read only, for those who may see it."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.request import Request

from apps.common.access import require
from apps.common.viewsets import ReadViewSet
from portal.filters import AuditFilter
from portal.models import AuditEvent


class AuditEventSerializer(serializers.ModelSerializer):
    class Meta:
        model = AuditEvent
        fields = ["id", "at", "actor_name", "action", "object_type", "object_id", "object_label", "data"]
        read_only_fields = fields


@extend_schema_view(
    list=extend_schema(summary="Who did what, newest first"),
    retrieve=extend_schema(summary="One event of the audit trail"),
)
class AuditEventViewSet(ReadViewSet):
    queryset = AuditEvent.objects.all()
    serializer_class = AuditEventSerializer
    filterset_class = AuditFilter

    def check_permissions(self, request: Request) -> None:
        super().check_permissions(request)
        require(request.user, "audit.view")
